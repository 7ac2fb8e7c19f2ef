"""The folder of a stage's samples: shards of TFRecords, and the journal by which a killed run goes on.

FOLDER/train/ and FOLDER/select/ hold KIND-SHARD.tfrecord. FOLDER/journal.jsonl begins with the settings that the
samples were made with; a line follows for each shard whose files are whole. A shard is a run of the records of the data
sets, and a function of the settings alone, so a run that was killed ends with the same bytes as one that was not.
"""

import json
import os
from pathlib import Path

from ...errors import InputError
from ...files import write_whole
from .tfrecords import KINDS, open_samples

PARTS = ("train", "select")


class SampleFolder:
    """`settings` and `shards`, part -> shard -> dict of its journal line, of the folder at `path`."""

    def __init__(self, path):
        self.path, self.journal = Path(path), Path(path) / "journal.jsonl"
        self.settings, self.shards = None, {part: {} for part in PARTS}
        try:
            lines = self.journal.read_bytes().split(b"\n")[:-1]  # behind the last end of line stands what was cut short
        except FileNotFoundError:
            return
        except OSError as error:
            raise InputError(f"{self.journal}: cannot be read ({error.strerror})") from None
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                if number == 1:
                    self.settings = row["settings"]
                else:
                    self.shards[row["part"]][row["shard"]] = row
            except (ValueError, KeyError, TypeError):
                found = line[:40].decode(errors="replace")
                raise InputError(f"{self.journal} line {number}: found {found!r}, expected a line of "
                                 f"tools/mtcnn_samples.py; make the samples anew with --anew") from None

    def begin(self, settings, anew=False):
        """Start, or go on where an earlier run with the same settings was killed; anew: remove what it made.

        Raises InputError that names the first setting that differs.
        """
        settings = json.loads(json.dumps(settings))
        if anew and self.path.is_dir():
            for file in [self.journal, *(file for part in PARTS for file in (self.path / part).glob("*.tfrecord*"))]:
                file.unlink(missing_ok=True)
            self.settings, self.shards = None, {part: {} for part in PARTS}
        for part in PARTS:
            for left in (self.path / part).glob(".*.part*"):  # what a process was writing when it was killed
                left.unlink()
        if self.settings is None:
            self.settings = settings
            write_whole(self.journal, json.dumps({"settings": settings}).encode() + b"\n")
            return
        for key in sorted(settings.keys() | self.settings.keys()):
            then, now = self.settings.get(key), settings.get(key)
            if then != now:
                raise InputError(f"{self.path}: the samples there were made with {key} {then!r}, now it is {now!r}; "
                                 f"--anew makes them anew, MTCNN.SAMPLES puts them elsewhere")
        rows = [json.dumps(row) + "\n" for part in PARTS for row in self.shards[part].values()]
        head = json.dumps({"settings": self.settings}) + "\n"
        write_whole(self.journal, (head + "".join(rows)).encode())  # without a line that was cut short

    def file(self, part, kind, shard):
        """Path of a shard's records of a kind; there is none where the shard has no such record."""
        return self.path / part / f"{kind}-{shard:05d}.tfrecord"

    def add(self, part, shard, **facts):
        """Note that all files of a shard are there. facts: `records`, kind -> number, and others."""
        row = {"part": part, "shard": shard, **facts}
        with open(self.journal, "ab", buffering=0) as file:
            file.write(json.dumps(row).encode() + b"\n")
            os.fsync(file.fileno())
        self.shards[part][shard] = row

    def counts(self, part):
        """Dict kind -> number of records of a part."""
        return {kind: sum(row["records"].get(kind, 0) for row in self.shards[part].values()) for kind in KINDS}

    def open(self, part):
        """Dict kind -> list of record arrays (tfrecords.open_samples), in the order of the shards, without empty ones.

        Raises InputError where shards are missing: no samples were made, or the run that made them was killed.
        """
        if self.settings is None:
            raise InputError(f"{self.path}: no samples there; make them with tools/mtcnn_samples.py")
        wanted = self.settings["shards"][part]
        if len(self.shards[part]) < wanted:
            raise InputError(f"{self.path}: {len(self.shards[part])} of {wanted} shards of {part} are there; the same "
                             f"tools/mtcnn_samples.py as before makes the others")
        found = {kind: [] for kind in KINDS}
        for shard in range(wanted):
            for kind, count in self.shards[part][shard]["records"].items():
                if count:
                    file = self.file(part, kind, shard)
                    records = open_samples(file, kind, self.settings["side"])
                    if len(records) != count:
                        raise InputError(f"{file}: has {len(records)} records, the journal says {count}; make the "
                                         f"samples anew with --anew")
                    found[kind].append(records)
        return found
