"""The output folder: what is to be done there, which parts are finished, and that both are of this run.

DIR/_run.json       what decides the rows: source, model, options
DIR/_images.parquet the images in their order; part n holds those from n * rows on
DIR/part-*.parquet  the finished parts

Names that begin with "_" are passed over by what reads a folder of Parquet files as one table.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError, shown
from ..files import remove_parts, whole_file, write_whole
from ..locks import hold, release
from ..parsing import parse_json_file
from .rows import Part
from .sources.items import Item, Source, items_of

RUN, IMAGES, TRIES = "_run.json", "_images.parquet", "_tries"
FORMAT = "manyfaces bulk 1"


def usual_rows(images: int) -> int:
    """Rows of a part where none are asked for: 64 parts or more, of 16 to 256 images. It depends on nothing else."""
    return min(256, max(16, -(-images // 64)))


class Plan:
    """The folder of a run, which this process holds until `close`.

    Args:
        out: the folder; it need not exist.
        source: all images.
        settings: what else decides the rows; JSON values.
        rows: images of a part; None: as in the folder, else usual_rows.
        again: parts that hold errors count as not finished.

    Attributes:
        todo: numbers of the parts that are not finished.
        done: number of images in finished parts.

    Raises:
        InputError: the folder holds something else, or a run of another source, model or options (it says what
            differs), or another process works there.
    """

    def __init__(self, out: str | os.PathLike, source: Source, settings: dict[str, Any], rows: int | None = None,
                 again: bool = False) -> None:
        self.folder, self.table = Path(out), source.table
        if self.folder.is_file():
            raise InputError(f"{out}: is a file, expected a folder to write to")
        if os.path.realpath(out).startswith(os.path.join(os.path.realpath(source.address), "")):
            raise InputError(f"{out}: is inside the source {source.address}; choose an --out elsewhere")
        hold(self.folder, ", or choose another --out")
        try:
            self._start(source, settings, rows)
        except BaseException:
            self.close()
            raise
        remove_parts(self.folder)
        self.todo = [number for number in range(self.parts) if not self._finished(number, again)]
        self.done = self.images - sum(map(self.size, self.todo))

    def _start(self, source, settings, rows):
        before = self._before()
        self.rows = rows or (before or {}).get("rows") or usual_rows(self.images)
        run = {"format": FORMAT, "source": source.address, "kind": source.kind, "images": self.images,
               "rows": self.rows, "image_column": source.image_column, **settings}
        run = json.loads(json.dumps(run))
        if before is not None:
            self._compare(before, run)
            return
        with whole_file(self.folder / IMAGES) as path:
            pq.write_table(self.table, path, compression="zstd")
        write_whole(self.folder / RUN, json.dumps(run, indent=1))  # last: where it is, the folder is complete

    def _before(self) -> dict[str, Any] | None:
        """What a run before wrote; None where there was none."""
        path = self.folder / RUN
        if not path.exists():
            other = [name for name in os.listdir(self.folder) if not name.startswith(".") and name != IMAGES]
            if other:
                raise InputError(f"{self.folder}: holds {shown(other[0])} but no {RUN} of an earlier run; choose an "
                                 f"empty or new folder for --out")
            return None
        return read_run(self.folder)

    def _compare(self, before, run):
        hint = f"choose another --out, or use what {self.folder} was begun with"
        old, new = _flat(before), _flat(run)
        for key in [key for key in {**old, **new} if key != "images"]:
            if old.get(key) != new.get(key):
                raise InputError(f"{self.folder / RUN}: {key} was {shown(old.get(key))}, now it is "
                                 f"{shown(new.get(key))}; {hint}")
        then = read_images(self.folder)
        if then.equals(self.table):
            return
        pairs = itertools.zip_longest(items_of(then), items_of(self.table), fillvalue=Item("the end of the source"))
        number, (was, now) = next((number, pair) for number, pair in enumerate(pairs) if pair[0] != pair[1])
        raise InputError(f"{self.folder / IMAGES}: the source has changed: it had {then.num_rows:,} images, now it has "
                         f"{self.images:,}; image {number + 1:,} {_difference(was, now)}; {hint}")

    @property
    def images(self) -> int:
        """Number of images."""
        return self.table.num_rows

    @property
    def parts(self) -> int:
        """Number of parts."""
        return -(-self.images // self.rows)

    def size(self, number: int) -> int:
        """Number of images of a part."""
        return min(self.rows, self.images - number * self.rows)

    def items(self, number: int) -> list[Item]:
        """The images of a part."""
        return list(items_of(self.table.slice(number * self.rows, self.rows)))

    def path(self, number: int) -> Path:
        """The file of a part."""
        return part_path(self.folder, number)

    def _finished(self, number: int, again: bool) -> bool:
        """Whether a part is there. One that is damaged, or holds errors and is to be done `again`, is removed."""
        path = self.path(number)
        if not path.exists():
            return False
        try:
            with pq.ParquetFile(path) as file:
                good = file.metadata.num_rows == self.size(number)
                if good and again:
                    good = file.read(["error"])["error"].null_count == file.metadata.num_rows
        except (OSError, pa.ArrowException):
            good = False
        if not good:
            path.unlink()
        return good

    def write(self, part: Part) -> None:
        """Write a part atomically.

        Raises:
            OSError: it cannot be written, or the folder was removed since, with the parts before.
        """
        if not (self.folder / RUN).is_file():
            raise FileNotFoundError(errno.ENOENT, "was removed while parts were written", str(self.folder / RUN))
        write_whole(self.path(part.number), part.data)

    def close(self) -> None:
        """Let other processes work in the folder."""
        release(self.folder)


def part_path(folder: str | os.PathLike, number: int) -> Path:
    """The file of a part."""
    return Path(folder, f"part-{number:06d}.parquet")


def read_run(folder: str | os.PathLike) -> dict[str, Any]:
    """What decides the rows in a folder. Raises InputError where it holds no run."""
    path = Path(folder, RUN)
    try:
        run = parse_json_file(path)
    except FileNotFoundError:
        raise InputError(f"{os.fspath(folder)}: has no {RUN}; expected a folder that `manyfaces bulk` wrote") from None
    except ValueError as error:
        raise InputError(f"{path}: cannot be read ({error}); choose another folder") from None
    if not isinstance(run, dict) or run.get("format") != FORMAT or not isinstance(run.get("rows"), int):
        raise InputError(f"{path}: found {shown(run.get('format') if isinstance(run, dict) else run)}, expected "
                         f"{FORMAT!r} under \"format\"; another version wrote it")
    return run


def read_images(folder: str | os.PathLike) -> pa.Table:
    """The images of a run, of items.SCHEMA. Raises InputError where the file cannot be read."""
    path = Path(folder, IMAGES)
    try:
        with pq.ParquetFile(path) as file:
            return file.read()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())[:200]})") from None


def _flat(run: dict[str, Any]) -> dict[str, Any]:
    """Values by key; those of the settings by "settings.key". The model is last, because it changes with others."""
    settings = run.get("settings")
    others = {key: value for key, value in run.items() if key not in ("settings", "model")}
    within = {f"settings.{key}": value for key, value in settings.items()} if isinstance(settings, dict) else {}
    return {**others, **within, "model": run.get("model")}


def _difference(was: Item, now: Item) -> str:
    if was.path != now.path:
        return f"was {shown(was.path)}, now it is {shown(now.path)}"
    name, old, new = next((name, old, new) for name, old, new in zip(Item._fields, was, now, strict=True) if old != new)
    return f"({shown(was.path)}) had {name} {shown(old)}, now it has {shown(new)}"
