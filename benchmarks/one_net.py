"""A separate process for one net in one runtime, which reports milliseconds and memory on request.

python -m benchmarks.one_net RUNTIME MODEL [WEIGHTS] WIDTHxHEIGHT reads lines on standard input. It answers `run` with
the milliseconds of the net on one image, and `memory` with the peak MB of the process. It runs the net once before it
prints `ready`.
"""

import contextlib
import sys
import time

from .child import Child


class OneNet(Child):
    """The client of such a process: `ms()` and `megabytes()` of a net.

    Args:
        runtime: as in Detector.load.
        model: a config (.yml) with weights, or an exported model.
        size: (width, height) px.
        weights: of the config.
    """

    def __init__(self, runtime, model, size, weights=None):
        super().__init__(__name__, runtime, str(model), *([str(weights)] if weights else []), f"{size[0]}x{size[1]}")

    def ms(self):
        """Milliseconds of one call of the net."""
        return float(self.ask("run"))

    def megabytes(self):
        """Peak memory of the process so far: interpreter, runtime, weights and maps."""
        return float(self.ask("memory"))


def peak_megabytes():
    """Peak memory of this process in MB (2^20 bytes).

    It is VmHWM on Linux, because ru_maxrss there includes the memory of the parent when it started the process.
    """
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 2**10
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def main(runtime, model, *rest):
    """Serve the requests that the module's docstring describes."""
    import numpy as np

    from manyfaces.inference.detector import Detector

    *weights, size = rest
    width, height = map(int, size.split("x"))
    run = Detector.load(model, *weights, runtime=runtime).run
    image = np.random.default_rng(0).integers(0, 256, (1, height, width, 3)).astype(np.uint8)
    run(image)
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "run":
            start = time.perf_counter()
            run(image)
            print("run", (time.perf_counter() - start) * 1e3, flush=True)
        else:
            print("memory", peak_megabytes(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
