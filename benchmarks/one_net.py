"""A process of its own for one net in one runtime: its milliseconds whenever it is asked for them, and its memory.

python -m benchmarks.one_net RUNTIME MODEL [WEIGHTS] WIDTHxHEIGHT reads lines on standard input. To `run` it
answers with the milliseconds of the net on one image, to `memory` with the most MB that the process ever held. The net
has run once before it says `ready`.
"""

import contextlib
import subprocess
import sys
import time

from .timing import environment


class OneNet:
    """The other end: `ms()` and `megabytes()` of a net in a fresh process.

    It starts here, is waited for where the `with` block begins, and ends with it. runtime: as Detector.load has it.
    model: a config (.yml) with weights, or an exported model. size: (width, height) px. All raise RuntimeError with
    what the process wrote where it failed.
    """

    def __init__(self, runtime, model, size, weights=None):
        words = [runtime, str(model), *([str(weights)] if weights else []), f"{size[0]}x{size[1]}"]
        self.process = subprocess.Popen([sys.executable, "-m", __name__, *words], env=environment(), text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def ms(self):
        """Milliseconds of one call of the net."""
        return float(self._ask("run"))

    def megabytes(self):
        """The most memory the process has held so far: interpreter, runtime, weights and maps."""
        return float(self._ask("memory"))

    def __enter__(self):
        self._answer("ready")
        return self

    def __exit__(self, *_):
        self.process.communicate()

    def _ask(self, word):
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self._answer(word)

    def _answer(self, word):
        for line in self.process.stdout:
            name, _, value = line.strip().partition(" ")
            if name == word:  # a runtime may print lines of its own
                return value
        raise RuntimeError(f"{' '.join(self.process.args[3:])}: {self.process.communicate()[1][-2000:]}")


def peak_megabytes():
    """The most memory that this process has held, in MB (2^20 bytes).

    Linux' VmHWM where there is one: ru_maxrss would hold what the parent had when it started the process.
    """
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 2**10
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def main(runtime, model, *rest):
    """What the module's docstring says."""
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
