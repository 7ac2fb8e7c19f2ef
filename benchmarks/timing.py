"""Medians of several timings, and the table that shows them."""

import csv
import io
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import machine


def median_ms(function: Callable[[], object], repeats: int = 7, limit_s: float = 20.0, warm_up: bool = True) -> float:
    """Median milliseconds of a call; repeats stop early, after at least one, once they took limit_s together."""
    if warm_up:
        function()
    times = []
    while len(times) < repeats and (not times or sum(times) < limit_s):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


@dataclass
class Table:
    """Rows of text under a heading.

    Attributes:
        title: printed above the table.
        columns: headings; the first column names the rows.
        rows: lists of cells.
        note: what the figures mean, printed below.
        packages: of a table about time, what its rows depend on (keys of machine.PACKAGES): those of all rows, or a
            dict by the first cell of a row. The CSV then names their versions and the processor in each row.
    """

    title: str
    columns: Sequence[str]
    rows: list[Sequence[object]] = field(default_factory=list)
    note: str = ""
    packages: Sequence[str] | Mapping[str, Sequence[str]] = ()

    def text(self) -> str:
        """The table as aligned plain text."""
        cells = [tuple(self.columns), *(tuple(str(cell) for cell in row) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(cell.ljust(width) if k == 0 else cell.rjust(width)
                           for k, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip() for row in cells]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([self.title, *lines, *([self.note] if self.note else [])])


def as_csv(tables: Sequence[Table]) -> str:
    """All tables as one CSV text, so that any of them can be joined.

    Its columns are table, row, column, value, and machine.COLUMNS, which are empty in tables that are not about time.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("table", "row", "column", "value", *machine.COLUMNS))
    for table in tables:
        for row in table.rows:
            packages = table.packages.get(row[0], ()) if isinstance(table.packages, Mapping) else table.packages
            facts = machine.facts(packages) if packages else ("",) * len(machine.COLUMNS)
            writer.writerows((table.title, row[0], name, value, *facts) for name, value in
                             zip(table.columns[1:], row[1:], strict=True))
    return out.getvalue()


def environment() -> dict[str, str]:
    """The environment of a child process that can import this package, which is not installed with manyfaces."""
    paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
