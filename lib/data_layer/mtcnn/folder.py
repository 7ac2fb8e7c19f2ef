"""The folder of a stage's samples: shards of TFRecord files, and a journal from which a killed run continues.

FOLDER/train/ and FOLDER/select/ hold KIND-SHARD.tfrecord. FOLDER/journal.jsonl begins with the settings that the
samples were made with, then one line per shard whose files are complete. A shard is a range of the data sets' records
and a function of the settings only, so a run that was killed and continued gives the same bytes as any other.
"""

import json
import os
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...files import append_whole, remove_parts, write_whole
from ...locks import hold
from ...parsing import parse_json
from .tfrecords import KINDS, open_samples

SPLITS = ("train", "select")
_MOST_SIDE = 1000  # px: far more than any net of the cascade takes


class SampleFolder:
    """The folder at `path`, as its journal describes it. The folder may be missing.

    Attributes:
        settings: what the samples were made with, None without a journal.
        shards: split ("train" or "select") -> number of a shard -> its journal line.

    Raises:
        InputError: names the line of the journal that is wrong.
    """

    def __init__(self, path: str | os.PathLike):
        self.path, self.journal = Path(path), Path(path) / "journal.jsonl"
        self.settings: dict | None = None
        self.shards: dict[str, dict[int, dict]] = {split: {} for split in SPLITS}
        try:
            lines = self.journal.read_bytes().split(b"\n")[:-1]  # after the last line end is a line cut short
        except FileNotFoundError:
            return
        except OSError as error:
            raise InputError(f"{self.journal}: cannot be read ({error.strerror})") from None
        for number, line in enumerate(lines, 1):
            try:
                row = parse_json(line)
                if number == 1:
                    self.settings = dict(row["settings"])
                elif type(row["shard"]) is int and all(
                        kind in KINDS and type(count) is int and count >= 0 for kind, count in row["records"].items()):
                    self.shards[row["part"]][row["shard"]] = row
                else:
                    raise ValueError
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                found = line[:40].decode(errors="replace")
                raise InputError(f"{self.journal} line {number}: found {found!r}, expected a line of "
                                 f"`manyfaces data samples`; make the samples again with --overwrite") from None

    def begin(self, settings: dict, overwrite: bool = False) -> None:
        """Start, or continue where an earlier run with the same settings was killed. The folder is then this process's.

        Args:
            settings: what the samples are made with, as JSON values.
            overwrite: remove what an earlier run made.

        Raises:
            InputError: names the first setting that differs from the earlier run, or the process that works there.
        """
        hold(self.path, ", or choose another folder (MTCNN.SAMPLES)")
        settings = json.loads(json.dumps(settings))
        if overwrite and self.path.is_dir():
            for file in [self.journal, *(file for split in SPLITS for file in (self.path / split).glob("*.tfrecord*"))]:
                file.unlink(missing_ok=True)
            self.settings, self.shards = None, {split: {} for split in SPLITS}
        for split in SPLITS:
            remove_parts(self.path / split)
        if self.settings is None:
            self.settings = settings
            write_whole(self.journal, json.dumps({"settings": settings}).encode() + b"\n")
            return
        for key in sorted(settings.keys() | self.settings.keys()):
            then, now = self.settings.get(key), settings.get(key)
            if then != now:
                raise InputError(f"{self.path}: the samples there were made with {key} {then!r}, now it is {now!r}; "
                                 f"--overwrite makes them again, MTCNN.SAMPLES names another folder")
        rows = [json.dumps(row) + "\n" for split in SPLITS for row in self.shards[split].values()]
        head = json.dumps({"settings": self.settings}) + "\n"
        write_whole(self.journal, (head + "".join(rows)).encode())  # without a line that was cut short

    def file(self, split: str, kind: str, shard: int) -> Path:
        """Path of a shard's records of a kind. The file is missing if the shard has no such record."""
        return self.path / split / f"{kind}-{shard:05d}.tfrecord"

    def add(self, split: str, shard: int, **facts: object) -> None:
        """Add a shard whose files are complete to the journal.

        Args:
            split: "train" or "select".
            shard: its number.
            facts: `records`, a dict kind -> number of records, and others, as JSON values.
        """
        row = {"part": split, "shard": shard, **facts}
        append_whole(self.journal, json.dumps(row).encode() + b"\n", sync=True)
        self.shards[split][shard] = row

    def counts(self, split: str) -> dict[str, int]:
        """Count the records of a split by kind."""
        return {kind: sum(row["records"].get(kind, 0) for row in self.shards[split].values()) for kind in KINDS}

    def open(self, split: str) -> dict[str, list[np.ndarray]]:
        """Open the records of a split.

        Returns:
            Kind -> record arrays (tfrecords.open_samples) in the order of the shards, without empty ones.

        Raises:
            InputError: when shards are missing: no samples were made, or the run that made them was killed.
        """
        if self.settings is None:
            raise InputError(f"{self.path}: no samples there; make them with `manyfaces data samples`")
        totals, side = self.settings.get("shards"), self.settings.get("side")
        total = totals.get(split) if isinstance(totals, dict) else None
        if type(total) is not int or type(side) is not int or not 0 < side <= _MOST_SIDE:
            raise InputError(f"{self.journal}: its settings lack the side of a crop or the number of shards of "
                             f"{split}; make the samples again with --overwrite")
        there = sum(0 <= shard < total for shard in self.shards[split])
        if there < total:
            raise InputError(f"{self.path}: {there} of {total} shards of {split} are there; run the same "
                             f"`manyfaces data samples` again, it makes the others")
        shards: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
        for shard in range(total):
            for kind, count in self.shards[split][shard]["records"].items():
                if count:
                    file = self.file(split, kind, shard)
                    records = open_samples(file, kind, side)
                    if len(records) != count:
                        raise InputError(f"{file}: has {len(records)} records, the journal says {count}; make the "
                                         f"samples again with --overwrite")
                    shards[kind].append(records)
        return shards
