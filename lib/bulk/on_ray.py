"""The engine for several machines: Ray Data, whose actors hold one detector each.

Ray repeats what a killed actor or node had in work. What it gives twice is written once (run.py), and what it loses is
asked for again here.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import pickle
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from ..cascade.lanes import cores
from ..errors import InputError
from ..progress import print_line, silent
from .ray_watch import Watch
from .rows import Part
from .stop import Stop, TimeUp
from .worker import Job, Worker

if TYPE_CHECKING:
    from .plan import Plan

STARTS = 3  # tries to start Ray: on a busy machine its processes may not be ready in the 30 s that it waits for them
PATIENCE = 3  # times that the work may fail in a row without a part that is finished
OBJECTS = 256 * 2 ** 20  # bytes of Ray's object store here: it holds lists of paths and finished parts, no images
ENVIRONMENT = {  # before Ray is imported; what the user has set stays
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # what fails is an exception here, too
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else it hides the GPUs from workers that ask for none
    "RAY_worker_register_timeout_seconds": "300",
    "RAY_gcs_server_request_timeout_seconds": "300",
    "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "300",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}


def ray_parts(job: Job, plan: Plan, workers: int | None, address: str | None, gpus: float,
              stop: Stop) -> Generator[Part, None, None]:
    """Yield the parts of a plan that are to be done, in the order in which they are finished.

    Args:
        workers: number of actors; None: the cores here, or the slots of the cluster.
        address: of a cluster to join; None: Ray is started here, whatever else runs on the machine.
        gpus: of an actor.
        stop: after its signal the next part is the last one that is waited for.

    Raises:
        InputError: Ray is not installed or cannot be started, there are too few slots, or a detector cannot be opened.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise InputError(f"--engine ray: the package {error.name} is not installed: pip install 'manyfaces[bulk]'; "
                         f"on one machine --engine local does the same without it") from None
    _start(ray, workers, address)
    watch = contextlib.ExitStack()
    try:
        watch.enter_context(Watch(ray.get_runtime_context().gcs_address))
        workers = _slots(ray, workers, gpus, address)
        stop.raise_when_expired()
        left, failures = set(plan.todo), 0
        while left and not stop.asked:
            try:
                for part in _results(ray, job, plan, sorted(left), workers, gpus):
                    left.discard(part.number)
                    failures = 0
                    yield part
                    if stop.asked:
                        return
            except ray.exceptions.RayError as error:
                failures += 1
                if failures >= PATIENCE:
                    raise InputError(f"Ray failed {PATIENCE} times without finishing a part: "
                                     f"{' '.join(str(error).split())[-300:]}") from None
                print_line(f"note: Ray failed ({type(error).__name__}); the {len(left)} parts that are missing are "
                           f"asked for again")
    except TimeUp:
        return
    finally:
        ray.shutdown()
        watch.close()


def _start(ray: Any, workers: int | None, address: str | None) -> None:
    """Start Ray here, or join a cluster."""
    quiet = {"logging_level": logging.CRITICAL, "log_to_driver": False}
    if address:
        try:
            with silent():
                ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise InputError(f"--address {address}: no Ray cluster answers there "
                             f"({' '.join(str(error).split())[:200]})") from None
        return
    for number in range(1, STARTS + 1):
        try:
            # "local": without it Ray joins any cluster that it finds. One slot more than actors is for Ray's own tasks.
            with silent():  # it tells of the log level that ENVIRONMENT sets
                ray.init(address="local", num_cpus=(workers or cores()) + 1, include_dashboard=False,
                         object_store_memory=OBJECTS, **quiet)
            return
        except Exception as error:  # it raises plain Exception where it has waited in vain
            ray.shutdown()
            text = " ".join(str(error).split())[:200]
            if number == STARTS:
                raise InputError(f"--engine ray: Ray could not be started in {STARTS} tries ({text}); is the machine "
                                 f"very busy, or its memory full? --engine local needs no Ray") from None
            print_line(f"note: Ray could not be started ({text}); try {number + 1} of {STARTS}")


def _slots(ray: Any, workers: int | None, gpus: float, address: str | None) -> int:
    """The number of actors.

    Raises:
        InputError: there are fewer slots than actors: Ray would wait for more without a word.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    slots = sum(math.floor(node.get("CPU", 0)) for node in nodes) - (not address)
    by_gpu = sum(math.floor(node.get("GPU", 0) / gpus + 1e-9) for node in nodes) if gpus else slots
    most = min(slots, by_gpu)
    if most < (workers or 1):
        kind = f"{by_gpu} GPU slots of {gpus:g}" if by_gpu < slots else f"{slots} CPU slots"
        raise InputError(f"--workers {workers or 1}: {address or 'Ray here'} has {kind} on {len(nodes)} nodes, but "
                         f"{workers or 1} are needed, one per worker; give fewer --workers, or add nodes")
    free = ray.available_resources()
    wanted = workers or most
    if free.get("CPU", 0) + 1e-9 < wanted:
        print_line(f"note: {free.get('CPU', 0):g} of the {slots} CPU slots are free, and {wanted} are needed, one per "
                   f"worker: the others wait until other work on the cluster ends")
    return wanted


def _results(ray: Any, job: Job, plan: Plan, numbers: list[int], workers: int, gpus: float) -> Iterator[Part]:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what fails is told in one line here
    tasks = ray.data.from_items([{"task": pickle.dumps((number, plan.items(number)))} for number in numbers],
                                override_num_blocks=len(numbers))
    results = tasks.map_batches(Actor, fn_constructor_args=(pickle.dumps(job),), batch_size=1, num_cpus=1,
                                num_gpus=gpus or None, compute=ray.data.ActorPoolStrategy(size=workers))
    for row in results.iter_rows():
        part = pickle.loads(row["part"])
        if not isinstance(part, Part):
            raise InputError(part)
        yield part


class Actor:
    """What Ray Data calls in an actor: one part per call.

    An InputError comes back as its text: Ray would try again what raises, and wrap it in many lines.
    """

    def __init__(self, job: bytes) -> None:
        self.worker: Worker | str
        try:
            self.worker = Worker(pickle.loads(job))
        except InputError as error:
            self.worker = str(error)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        return {"part": [pickle.dumps(self._part(task)) for task in batch["task"]]}

    def _part(self, task: bytes) -> Part | str:
        if isinstance(self.worker, str):
            return self.worker
        try:
            return self.worker.part(*pickle.loads(task))
        except InputError as error:
            return str(error)
