"""Sources of `manyfaces bulk` for its tests: images of green squares as files, in Parquet files and in tar shards.

A test that imports this is skipped where pyarrow is not installed.
"""

import io
import tarfile

import cv2
import numpy as np
import pytest
from stand_in import picture, save, square_detector

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def opener():
    """What opens the detector, in any process."""
    return square_detector()


def slow_opener():
    """The same with 0.1 s per image."""
    import time

    detector = square_detector()
    run = detector.run

    def slow(images):
        time.sleep(0.1)
        return run(images)

    detector.run = slow
    return detector


def deadly_opener():
    """The same; an image of 77 px width ends the process."""
    import os

    detector = square_detector()
    run = detector.run

    def deadly(images):
        if images.shape[2] == 96 and (images[:, :, 77:] == detector.family.fill).all():
            os._exit(9)
        return run(images)

    detector.run = deadly
    return detector


def squares(count, width=96, height=64):
    """Pictures with 0 to 2 squares, and their numbers of faces; sizes differ."""
    rng = np.random.default_rng(count)
    for number in range(count):
        places = [(4 + 40 * k, int(rng.integers(2, 20)), 12 + number % 5) for k in range(number % 3)]
        yield picture(width + 32 * (number % 2), height, *places), len(places)


def folder_of(folder, count):
    """Write a folder of images in two levels; returns path below it -> number of faces."""
    faces = {}
    for number, (image, found) in enumerate(squares(count)):
        name = f"e{number % 3}/{number:03d}.png"
        save(folder / name, image)
        faces[name] = found
    return faces


def encoded(image):
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()


def shard_of(path, members):
    """Write a tar of (name, bytes or TarInfo of a link)."""
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            info = data if isinstance(data, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = 0 if isinstance(data, tarfile.TarInfo) else len(data)
            archive.addfile(info, None if isinstance(data, tarfile.TarInfo) else io.BytesIO(data))
    return path


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return name, info


def parquet_of(path, columns, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **options)
    return path


def rows_of(out):
    """Every row of a folder, read as any program would read it: path -> row. A path that comes twice is an error."""
    rows = pq.read_table(out).to_pylist()
    paths = [row["path"] for row in rows]
    assert len(paths) == len(set(paths))
    return dict(zip(paths, rows, strict=True))


def in_this_process(monkeypatch):
    """Let the local engine do the workers' work in this process."""
    from manyfaces.bulk import local
    from manyfaces.bulk.worker import Worker

    def parts(job, plan, workers, stop):
        worker = Worker(job)
        for number in plan.todo:
            yield worker.part(number, plan.items(number))

    monkeypatch.setattr(local, "local_parts", parts)
