"""A run: a source and a folder in, rows out; the engine is one of two."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..cascade.lanes import cores
from ..config import check_value
from ..errors import InputError, Range, check_number, check_whole
from ..inference.demo.journal import detector_mark
from ..progress import Progress, print_line
from .plan import TRIES, Plan
from .sources.items import Source
from .stop import Stop
from .worker import Job

if TYPE_CHECKING:
    from ..inference.base import BaseDetector

ENGINES = ("local", "ray")


@dataclass
class Summary:
    """What a run did.

    Attributes:
        images: number of rows that it wrote.
        before: number of rows that were there.
        faces, errors: of the rows that it wrote.
        total: number of images of the source.
        signal: the one that stopped it; 0: none, so all is done.
    """

    images: int
    before: int
    faces: int
    errors: int
    total: int
    signal: int = 0


def run_bulk(source: Source, out: str | os.PathLike, open_detector: Callable[[], BaseDetector],
             score: float | None = None, scales: Sequence[float] | None = None, flip: bool | None = None,
             settings: Callable[[BaseDetector], dict[str, Any]] | None = None, rows: int | None = None,
             workers: int | None = None, address: str | None = None, gpus: float = 0, engine: str | None = None,
             again: bool = False) -> Summary:
    """Detect in all images of a source and write a row for each; what is there already is left out.

    Workers are processes that import the program again: a script that calls this needs `if __name__ == "__main__"`.

    Args:
        out: folder, as plan.Plan describes it.
        open_detector: gives the detector in any process, with one thread; it can be pickled.
        score: lowest score of a face; None: TEST.DEMO_SCORE.
        scales, flip: as in Detector.detect.
        settings: what else decides the rows, by the detector: JSON values that are compared with those of the folder.
        rows: images of a part; None: as in the folder, else plan.usual_rows.
        workers: number of processes; None: the cores that this process may use, or the slots of the cluster.
        address: of a Ray cluster.
        gpus: GPUs of a worker, which may be a fraction; for Ray only.
        engine: one of ENGINES; None: ray where there is an address or `gpus`, else local.
        again: do parts again that hold rows with an error.

    Raises:
        InputError: as Plan and the engines do; or a number is not allowed.
        OSError: the folder cannot be written.
    """
    rows = None if rows is None else check_whole(rows, "--rows", Range(least=1))
    workers = None if workers is None else check_whole(workers, "--workers", Range(least=1))
    check_number(gpus, "--gpus", Range(least=0))
    engine = engine or ("ray" if address or gpus else "local")
    if engine not in ENGINES:
        raise InputError(f"--engine {engine!r}: expected one of {', '.join(ENGINES)}")
    if engine == "local" and (address or gpus):
        raise InputError(f"--engine local: {'--address' if address else '--gpus'} is for --engine ray")
    detector = open_detector()
    test = detector.cfg.TEST
    score = test.DEMO_SCORE if score is None else check_value("TEST.DEMO_SCORE", score, "--score")
    scales = test.SCALES if scales is None else check_value("TEST.SCALES", scales, "scales")
    flip, mark = test.FLIP if flip is None else flip, detector_mark(detector)
    facts = {"score": float(score), "scales": list(scales), "flip": bool(flip),
             "settings": settings(detector) if settings else {}, "model": mark}
    del detector
    plan = Plan(out, source, facts, rows, again)
    try:
        job = Job(open_detector, mark, score, tuple(scales), flip, source.kind, source.image_column,
                  os.path.join(os.path.realpath(out), TRIES))
        summary = _run(job, plan, engine, workers, address, gpus)
        if not summary.signal:
            shutil.rmtree(job.tries, ignore_errors=True)
        return summary
    finally:
        plan.close()


def _run(job: Job, plan: Plan, engine: str, workers: int | None, address: str | None, gpus: float) -> Summary:
    summary = Summary(0, plan.done, 0, 0, plan.images)
    if not plan.todo:
        return summary
    left = set(plan.todo)
    print_line(f"{plan.images - plan.done:,} images in {len(left):,} parts of {plan.rows}, engine {engine}"
               + (f"; {plan.done:,} of {plan.images:,} images are there already" if plan.done else ""))
    with Stop() as stop, Progress(plan.images, "images", done=plan.done) as progress, contextlib.ExitStack() as stack:
        if engine == "local":
            from .local import local_parts

            parts = local_parts(job, plan, workers or cores(), stop)
        else:
            from .on_ray import ray_parts

            parts = ray_parts(job, plan, workers, address, gpus, stop)
        stack.callback(parts.close)  # ends the processes, also when a part cannot be written
        for part in parts:
            if part.number not in left:  # an engine that runs a part twice does no harm
                continue
            plan.write(part)
            left.remove(part.number)
            summary.images += part.images
            summary.faces += part.faces
            summary.errors += part.errors
            progress.advance(part.images, (lambda: f"{summary.errors:,} with errors") if summary.errors else None)
    summary.signal = stop.asked if left else 0
    if summary.signal:
        print_line(f"stopped by {signal.Signals(summary.signal).name}: {summary.before + summary.images:,} of "
                   f"{summary.total:,} images are done; the same command continues")
    elif left:
        raise RuntimeError(f"{len(left)} parts are missing although the engine has ended")
    return summary
