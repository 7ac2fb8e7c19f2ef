"""The curves of a training, read from its CSV files, and curves.png.

The same charts are drawn as SVG in run.html (run_page.py).
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...evaluation.report.charts import COLOURS, LINES, Line, LineChart, Look
from ...evaluation.report.plots import STYLE, draw
from ...files import write_whole
from .tracker import KINDS

Table = dict[str, np.ndarray]
"""Column -> (N,) float64, one value per row."""

SOLID, DASHED = LINES[:2]
SMOOTHED = 100  # a curve of more rows shows means of neighbouring rows, about this many
TICKS = 5


def read_table(path: str | os.PathLike) -> Table:
    """Read a CSV file of a training; {} where there is none. A row that is not complete or not of numbers is left out.

    Args:
        path: train.csv, select.csv or speed.csv.
    """
    try:
        with open(path, newline="", encoding="utf-8", errors="replace") as file:
            header, *rows = list(csv.reader(file)) or [[]]
    except OSError:
        return {}
    if not header:
        return {}
    values = [row for row in map(_numbers, rows) if len(row) == len(header)]
    return dict(zip(header, np.array(values, np.float64).reshape(-1, len(header)).T, strict=True))


def read_logs(folder: str | os.PathLike) -> dict[str, Table]:
    """The CSV files of a training by kind: train, select, speed."""
    return {kind: read_table(Path(folder) / f"{kind}.csv") for kind in KINDS}


def _numbers(row):
    try:
        return [float(value) for value in row]
    except ValueError:
        return []


def best_row(select: Table, measure: str) -> int | None:
    """Index of the best selection, the first among equals; None without one."""
    values = select.get(measure, np.zeros(0))
    return int(np.argmax(values)) if len(values) else None


def run_charts(logs: Mapping[str, Table], measure: str = "AP") -> list[LineChart]:
    """The charts of a training: losses, measures of the selection, rate, gradient, speed and waits.

    Args:
        logs: of read_logs; an empty table has no chart.
        measure: TRAIN.SELECT_BY; the step of its best value is marked.
    """
    train, select, speed = (logs[kind] for kind in KINDS)
    charts = []
    losses = [name for name in train if name not in ("step", "loss", "norm", "rate")]
    modules = list(dict.fromkeys(name.rpartition("_")[0] for name in losses))
    charts.append(_chart("Loss", "", train, select, {"loss": "all modules"}))
    for module in modules if len(losses) > 1 else ():
        kinds = {name: name.rpartition("_")[2] for name in losses if name.rpartition("_")[0] == module}
        charts.append(_chart(f"Loss of {module or 'the net'}", "", train, select, kinds))
    measures = {name: name for name in select if name not in ("step", "loss", *losses)}
    best = best_row(select, measure)
    marks = [float(select["step"][best])] if best is not None else []
    charts.append(_chart("Selection", "measure", {}, select, measures, marks, most=1.0))
    charts.append(_chart("Learning rate", "", train, {}, {"rate": "rate"}, digits=".3g"))
    charts.append(_chart("Norm of the gradient", "", train, {}, {"norm": "before clipping"}))
    charts.append(_chart("Speed", "images per second", speed, {}, {"images_per_second": "images per second"},
                         digits=".3g"))
    charts.append(_chart("Waits for data", "% of the time", speed, {}, {"waits_percent": "waits"}, digits=".3g"))
    return [chart for chart in charts if chart.lines]


def _chart(title, label, train, select, names, marks=(), most=None, digits=".3f"):
    """Training values are solid, those of the selection dashed in the same colour; alone, they are solid."""
    lines, top = [], 0.0
    for number, (column, name) in enumerate(names.items()):
        for table, pattern, suffix in ((train, SOLID, ""),
                                       (select, DASHED if train else SOLID, ", selection" if train else "")):
            x, y = _finite(table, column)
            if not len(y):
                continue
            value = float(y[-1])
            if table is train:
                x, y = _smooth(x, y)
            top = max(top, float(np.quantile(y, 0.98)))  # the first losses are large: the axis is for the others
            lines.append(Line(name + suffix, value, x, y, Look(number % len(COLOURS), pattern)))
    last = max((float(line.x[-1]) for line in lines), default=1.0)
    y_ticks = ticks(top if most is None else max(most, top))
    for line in lines:
        line.y = np.clip(line.y, 0, y_ticks[-1])
    return LineChart(title, "Step", label[:1].upper() + label[1:], lines, ticks(last), y_ticks, marks, digits)


def _finite(table, column):
    if column not in table:
        return np.zeros(0), np.zeros(0)
    kept = np.isfinite(table[column]) & np.isfinite(table["step"])
    return table["step"][kept], table[column][kept]


def _smooth(x, y):
    """Means of neighbouring rows, where there are many."""
    count = -(-len(y) // SMOOTHED)
    starts = np.arange(0, len(y), count)
    sizes = np.diff(np.append(starts, len(y)))
    return np.add.reduceat(x, starts) / sizes, np.add.reduceat(y, starts) / sizes


def ticks(last: float) -> list[float]:
    """Round values from 0 to `last` or just beyond it, about TICKS of them.

    Examples:
        >>> ticks(0.93), ticks(30000)
        ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 10000.0, 20000.0, 30000.0])
    """
    if not 0 < last < math.inf:
        return [0.0, 1.0]
    rough = last / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [float(f"{step * i:.10g}") for i in range(math.ceil(last / step - 1e-9) + 1)]


def curves_png(charts: Sequence[LineChart]) -> bytes:
    """The charts side by side as a PNG of 130 dpi.

    Raises:
        ImportError: matplotlib is missing.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(3, len(charts))
    rows = -(-len(charts) // columns)
    with rc_context(STYLE):
        width, height = 3.6 * columns, 2.5 * rows  # inches
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        figure.subplots_adjust(0.5 / width, 0.4 / height, 1 - 0.15 / width, 1 - 0.25 / height, 0.2, 0.3)
        for number, chart in enumerate(charts):
            axes = figure.add_subplot(rows, columns, number + 1)
            draw(axes, chart, longest=30)
            rising = chart.lines[0].y[-1] > chart.lines[0].y[0]
            axes.legend(loc="lower right" if rising else "upper right", framealpha=0.8, fancybox=False)
        data = io.BytesIO()
        figure.savefig(data, dpi=130)
    return data.getvalue()


def write_curves(folder: str | os.PathLike, charts: Sequence[LineChart]) -> Path:
    """Write FOLDER/curves.png; returns its path."""
    path = Path(folder) / "curves.png"
    write_whole(path, curves_png(charts))
    return path
