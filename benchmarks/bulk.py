"""Section `bulk` of the benchmark: `manyfaces bulk` beside a plain loop over the same images.

Each figure is of a command in processes of its own. Start-up is a run over so few images that every worker has one
part. It is subtracted from the longer run. Processor time is that of all processes together, so it holds on a busy
machine, on which images per second do not.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2

from manyfaces.datasets.toy.data_set import portrait_collage
from manyfaces.errors import InputError

from .machine import BASE
from .process_tree import ProcessTree
from .ray_nodes import cluster
from .timing import Table, environment

NAME = "ssh_mobilenet_v1_025"
SIDE = 160  # px, the longer side of the images: the smaller they are, the more an engine's own work shows
DIFFERENT = 20  # images; the others are links to them
FIRST = 16  # images per worker of the run that shows the start-up: one part
MANY = 1000  # images from which on the time without the start-up is more than what two start-ups differ by
ENGINES = ("plain", "local", "ray", "nodes")
PLAIN = """
import sys
from manyfaces import Detector
from manyfaces.datasets.folders import find_images
detector = Detector.load(sys.argv[2], threads=1)
for name in find_images(sys.argv[1]):
    detector.detect(f"{sys.argv[1]}/{name}", errors="return")
"""


def run(images: Sequence[int] = (200,), workers: int = 2, side: int = SIDE,
        engines: Sequence[str] = ENGINES) -> list[Table]:
    """Measure the plain loop, the local engine and, where Ray is installed, Ray on one and on two simulated nodes.

    Args:
        images: numbers of images.
        workers: of an engine.
        side: px, the longer side of an image.
        engines: of ENGINES; nodes: Ray on one and on two simulated nodes.

    Returns:
        A list with one Table.

    Raises:
        InputError: a command failed.
    """
    if unknown := [engine for engine in engines if engine not in ENGINES]:
        raise InputError(f"--engines {unknown[0]}: expected some of {', '.join(ENGINES)}")
    there = importlib.util.find_spec("ray") is not None
    commands: list[tuple[str, str, list[str], int]] = [
        ("plain", "plain loop", [], 0), ("local", f"local, {workers} workers", ["--engine", "local"], 0),
        ("ray", f"Ray, {workers} workers", ["--engine", "ray"], 0),
        ("nodes", f"Ray, {workers} workers on 1 simulated node", [], 1),
        ("nodes", f"Ray, {workers} workers on 2 simulated nodes", [], 2)]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for key, engine, words, count in commands:
            if key in engines and (there or key in ("plain", "local")):
                with _address(count, workers) as more:
                    rows += _rows(engine, Path(name), images, side, workers, [*words, *more])
    columns = ("engine", "s", "processor s", "of the driver", "ms per image", "images/s", "driver MB", "worker MB")
    return [Table(f"Many images of {side} px, {NAME}", columns, rows,
                  "ms per image: processor time without the start-up. images/s: of the whole command. MB: peak of the "
                  "process that was started, and of the largest other one.", (*BASE, "onnxruntime", "pyarrow", "ray"))]


@contextlib.contextmanager
def _address(count, workers):
    """The words for a simulated cluster of this many nodes; none for 0."""
    if not count:
        yield []
        return
    with cluster(-(-workers // count), count - 1) as nodes:
        yield ["--address", nodes.address]


def _rows(engine, folder, images, side, workers, words):
    """The rows of an engine: its start-up, and each number of images."""
    bulk = [*words, "--workers", str(workers)] if words else []
    start, *first = _measure(folder, FIRST * (workers if bulk else 1), side, bulk)
    rows = [[f"{engine}: start-up, {start} images", *_cells(*first)]]
    for count in images:
        number, *facts = _measure(folder, count, side, bulk)
        cells = _cells(*facts)
        cells[4] = f"{number / facts[0]:.1f}"
        if number >= MANY:
            cells[3] = f"{(facts[1] - first[1]) / (number - start) * 1e3:.1f}"
        rows.append([f"{engine}: {number:,} images", *cells])
    return rows


def _cells(wall, seconds, driver, memory, worker):
    return [f"{wall:.1f}", f"{seconds:.1f}", f"{driver:.1f}", "", "", f"{memory:.0f}", f"{worker:.0f}"]


def _measure(folder: Path, count: int, side: int, words: list[str]) -> tuple[int, float, float, float, float, float]:
    """(images, seconds, processor seconds, those of the driver, MB of the driver, of the largest other process)."""
    photos, out = _photos(folder, count, side), folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    if words:
        command = ["-m", "manyfaces", "bulk", str(photos), "--out", str(out), "--cfg", NAME, *words]
    else:
        command = ["-c", PLAIN, str(photos), NAME]
    with open(folder / "log.txt", "w+") as log:
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, *command], env=environment(), stdout=log, stderr=log)
        # Simulated nodes are processes below this one: all that it has started is counted from here on.
        with ProcessTree(os.getpid() if "--address" in words else process.pid) as tree:
            code = process.wait()
        wall = time.perf_counter() - began
        if code:
            log.seek(0)
            raise InputError(f"bulk: {' '.join(command[:6])}: {(log.read().strip() or 'ended').splitlines()[-1]}")
    if words and len(list(out.glob("part-*"))) < 1:
        raise InputError(f"bulk: {out}: no part was written")
    own = tree.peaks.pop(process.pid)[1]
    tree.peaks.pop(os.getpid(), None)
    return count, wall, tree.seconds, tree.times[process.pid], own, tree.peak()


def _photos(folder: Path, count: int, side: int) -> Path:
    """A folder of `count` images; most are links to others."""
    photos = folder / f"photos_{count}"
    if photos.exists():
        return photos
    different = folder / "different"
    if not different.exists():
        different.mkdir()
        for number in range(DIFFERENT):
            image = portrait_collage(side * 4, side * 3, seed=number)
            small = cv2.resize(image, (side, side * 3 // 4), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(different / f"{number}.jpg"), small[..., ::-1])
    photos.mkdir()
    for number in range(count):
        os.link(different / f"{number % DIFFERENT}.jpg", photos / f"{number:06d}.jpg")
    return photos
