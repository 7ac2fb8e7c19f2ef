"""Results as a printed table."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import printable


def print_table(header: Sequence[str], rows: Sequence[Sequence]) -> None:
    """Print rows under their header, each column as wide as it needs to be.

    Text is aligned to the left, numbers to the right. Floats get five digits, whole numbers commas.
    Unprintable characters of a name become escapes.

    Args:
        header: one text per column.
        rows: lists as long as the header. The types in the first row decide how a column is aligned.
    """
    cells = [[f"{v:.5f}" if isinstance(v, float) else f"{v:,}" if isinstance(v, int) else printable(str(v))
              for v in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    numbers = [bool(rows) and isinstance(value, (int, float)) for value in (rows[0] if rows else header)]
    for line in [header, *cells]:
        print("  ".join(cell.rjust(width) if number else cell.ljust(width)
                        for cell, width, number in zip(line, widths, numbers, strict=True)).rstrip())
