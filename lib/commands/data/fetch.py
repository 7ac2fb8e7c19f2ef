"""Fetch public data sets and weights from their official addresses, check them and unpack them.

A fetch that was cut continues where it stopped. A file whose size or checksum is not the known one is not used. Without
a network the command says which file to put where. The files are others' work, under their own licences.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ...datasets.downloads.fetch import fetch, in_bytes, mirrored
from ...datasets.downloads.table import DOWNLOADS, Download, File
from ...datasets.downloads.unpack import unpack
from ...errors import InputError
from ...progress import Progress
from ..command_line import argument_parser

EXAMPLE = """
manyfaces data fetch list
manyfaces data fetch wider wider_eval
manyfaces data fetch mobilenet_v1_025
manyfaces data fetch wider --mirror http://server.example/wider
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of `manyfaces data fetch`."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("names", nargs="+", metavar="NAME", help="rows of the table, or list, which prints it")
    parser.add_argument("--out", default="data", metavar="DIR", help="the data folder")
    parser.add_argument("--mirror", default="", metavar="URL", help="fetch URL/FILE instead of the official addresses; "
                        "sizes and checksums stay")
    parser.add_argument("--keep", action="store_true", help="keep archives that were unpacked")
    options = parser.parse_args(arguments)
    if "list" in options.names:
        print(table())
        return
    for name in options.names:
        if name not in DOWNLOADS:
            raise InputError(f"NAME is {name!r}, expected list or some of {', '.join(DOWNLOADS)}")
    for name in options.names:
        _row(name, DOWNLOADS[name], Path(options.out), options.mirror, options.keep)


def table() -> str:
    """The downloads, one per paragraph."""
    lines = []
    for name, row in DOWNLOADS.items():
        lines.append(f"{name}: {row.line}")
        for file in row.files:
            checksum = f"{file.checksum} (as {file.source} says)" if file.checksum else "checksum not known"
            lines += [f"  {file.address}", f"    {in_bytes(file.size)}, {checksum}"]
        by_hand = "" if row.files else "by hand, from "
        lines += [f"  {by_hand}{row.page}; licence: {row.licence}", ""]
    return "\n".join(lines).rstrip()


def _row(name: str, row: Download, data: Path, mirror: str, keep: bool) -> None:
    folder = data / row.folder
    if not row.files:
        raise InputError(f"{name}: can only be fetched by hand from {row.page} ({row.licence}); unpack it into "
                         f"{folder}")
    print(f"{name}: {row.line}. Licence: {row.licence}; {row.page}")
    for file in row.files:
        # An archive that is still there was not unpacked to its end.
        if file.unpack and (folder / file.gives).exists() and not (folder / file.name).exists():
            print(f"  {folder / file.gives} is there")
            continue
        _fetch(mirrored(file, mirror), folder)
        if file.unpack:
            count = unpack(file, folder)
            print(f"  {count:,} files unpacked into {folder}")
            if not keep:
                os.unlink(folder / file.name)
    if row.then:
        print(f"  then: {row.then}")


def _fetch(file: File, folder: Path) -> None:
    print(f"  {file.address} ({in_bytes(file.size)})", flush=True)
    bar = Bar()
    found = fetch(file, folder, bar)
    bar.end()
    known = "as expected" if file.checksum else "no checksum is known to compare with"
    print(f"  {folder / file.name}: sha256 {found}, {known}")


class Bar:
    """Progress in MB; the total is known with the first bytes."""

    def __init__(self) -> None:
        self.done = 0
        self.progress: Progress | None = None

    def __call__(self, done: int, total: int | None) -> None:
        megabytes = done // 10**6
        if self.progress is None:
            self.progress = Progress(None if total is None else -(-total // 10**6), "MB", 30, megabytes)
            self.done = megabytes
        if megabytes > self.done:
            self.progress.advance(megabytes - self.done)
            self.done = megabytes

    def end(self) -> None:
        if self.progress is not None:
            self.progress.__exit__()
        sys.stderr.flush()
