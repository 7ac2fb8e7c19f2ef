"""Charts as figures of matplotlib, in the manner of WIDER FACE's official ones, with what other authors report.

matplotlib is imported when a figure is made. No window system is needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...errors import printable
from ...files import whole_file
from ..curve import Curve
from ..files.ground_truth import SETTINGS
from .charts import COLOURS, LineChart, look, precision_recall
from .published import Published, choose_published

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

STYLE: dict[RcKeyType, Any] = {
    "font.family": "DejaVu Sans", "font.size": 7, "axes.titlesize": 8, "axes.labelsize": 7, "xtick.labelsize": 6,
    "ytick.labelsize": 6, "legend.fontsize": 5.6, "axes.linewidth": 0.6, "xtick.major.width": 0.6,
    "ytick.major.width": 0.6, "grid.linewidth": 0.4, "grid.color": "#d8d8d8", "pdf.fonttype": 42}
_MARKERS = {"easy": "^", "medium": "o", "hard": "s"}
# Inches: the width of a page's text, the height of a panel, and of a line of the list and of a legend.
_WIDTH, _PANEL, _LINE, _ENTRY = 7.2, 2.1, 0.135, 0.105
# More methods than this hide the curves when their legend is inside the frame.
_INSIDE = 5


def pr_plot(methods: Sequence[tuple[str, Mapping[str, Curve]]], path: str | os.PathLike,
            settings: Sequence[str] = SETTINGS, published: Sequence[Published] | None = None) -> list[str]:
    """Write the figure of pr_figure as PNG and PDF.

    Args:
        methods: as in pr_figure.
        path: as in write_figure.
        settings: as in pr_figure.
        published: as in pr_figure.

    Returns:
        The two paths.

    Raises:
        OSError: a file cannot be written.
    """
    return write_figure(pr_figure(methods, settings, published), path)


def write_figure(figure: Figure, path: str | os.PathLike) -> list[str]:
    """Write a figure to path.png and path.pdf.

    Args:
        figure: what to write.
        path: with or without the extension .png or .pdf.

    Returns:
        The two paths.

    Raises:
        OSError: a file cannot be written.
    """
    base, extension = os.path.splitext(os.fspath(path))
    base = base if extension.lower() in (".png", ".pdf") else os.fspath(path)
    written = []
    for kind in ("png", "pdf"):
        with whole_file(f"{base}.{kind}", suffix=f".{kind}") as temporary:
            # Without a date the same curves give the same file.
            figure.savefig(temporary, dpi=300, metadata={"CreationDate": None} if kind == "pdf" else None)
        written.append(f"{base}.{kind}")
    return written


def pr_figure(methods: Sequence[tuple[str, Mapping[str, Curve]]], settings: Sequence[str] = SETTINGS,
              published: Sequence[Published] | None = None) -> Figure:
    """A panel of curves per setting with AP in the legend; below, the AP that other authors report.

    Published results have no curve. They are in a list below the panels, on an axis of AP, among the methods.

    Args:
        methods: (name, setting -> Curve), see analysis.curves. The place in the list decides the look, which is the
            same in every panel.
        settings: the panels.
        published: rows of published.PUBLISHED; () for none, None for the usual ones.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    published = choose_published() if published is None else published
    lines = len(methods) + len(published) if published else 0
    list_height = (lines + 1) * _LINE + 0.6 if lines else 0
    inside = len(methods) <= _INSIDE
    below = list_height + 0.4 + (0 if inside else len(methods) * _ENTRY + 0.12)
    with rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH, _PANEL + 0.25 + below))
        FigureCanvasAgg(figure)
        height = figure.get_figheight()
        step = (_WIDTH - 0.35) / len(settings)
        for place, setting in enumerate(settings):
            left, width = (0.45 + place * step, step - 0.22) if len(settings) > 1 else (1.95, 3.85)
            axes = figure.add_axes((left / _WIDTH, below / height, width / _WIDTH, _PANEL / height))
            draw(axes, precision_recall(setting.capitalize(), [(name, curves[setting]) for name, curves in methods]),
                 leftmost=place == 0)
            if methods:
                _legend(axes, inside)
        if lines:
            axes = figure.add_axes((1.95 / _WIDTH, 0.38 / height, 3.85 / _WIDTH, (lines + 1) * _LINE / height))
            _list(axes, methods, settings, published)
    return figure


def draw(axes: Axes, chart: LineChart, leftmost: bool = True, longest: int = 24) -> None:
    """Draw a chart, without its legend, whose entries are in falling order of value.

    Args:
        axes: of a figure.
        chart: what to draw.
        leftmost: label the vertical axis; panels further right share the labels of the first.
        longest: letters of a name in the legend.
    """
    for line in sorted(chart.lines, key=lambda line: -line.value):
        axes.plot(line.x, line.y, linewidth=1.1, color=COLOURS[line.look.colour], linestyle=line.look.line,
                  marker="." if len(line.x) == 1 else None,
                  label=f"{shortened(line.name, longest)}: {line.value:{chart.digits}}")
    for mark in chart.marks:
        axes.axvline(mark, color="#999999", linewidth=0.6, linestyle=(0, (1, 2)), zorder=1)
    # A line along the upper edge is not cut.
    axes.set(xlim=(0, chart.x_ticks[-1]), ylim=(0, 1.005 * chart.y_ticks[-1]), xlabel=chart.x_label, title=chart.title)
    axes.set_xticks(chart.x_ticks)
    axes.set_yticks(chart.y_ticks, None if leftmost else [""] * len(chart.y_ticks))
    if leftmost:
        axes.set_ylabel(chart.y_label)
    axes.grid(True)
    axes.set_axisbelow(True)


def shortened(name: str, longest: int = 24) -> str:
    """A long name without its middle: names differ at their beginnings and ends. Nothing in it is a formula."""
    name = printable(name).replace("$", r"\$")  # matplotlib reads what is between two $ as one
    return name if len(name) <= longest else f"{name[:(longest - 1) // 2]}…{name[-(longest // 2):]}"


def _legend(axes, inside):
    where = ({"loc": "lower left"} if inside else
             {"loc": "upper left", "bbox_to_anchor": (0, -0.37 / _PANEL), "borderaxespad": 0})
    frame = axes.legend(**where, handlelength=2.6, labelspacing=0.25, borderpad=0.4, framealpha=0.9, frameon=inside,
                        edgecolor="#bbbbbb", fancybox=False).get_frame()
    frame.set_linewidth(0.5)


def _list(axes, methods, settings, published):
    """One line per model, by falling AP of the last setting: markers on an axis of AP, and the numbers."""
    entries: list[tuple[str, list[float], str | None]]
    entries = [(shortened(name, 30), [curves[s].ap for s in settings], COLOURS[look(index).colour])
               for index, (name, curves) in enumerate(methods)]
    entries += [(f"{row.model} ({row.test})" if row.test else row.model, [getattr(row, s) for s in settings], None)
                for row in published]
    entries.sort(key=lambda entry: -entry[1][-1])
    lowest = min(min(values) for _, values, _ in entries)
    low = max(0.0, int(lowest * 10 - 0.2) / 10)
    for y, (_, values, colour) in enumerate(entries):
        axes.plot([min(values), max(values)], [y, y], color=colour or "#aaaaaa", linewidth=0.8, zorder=2)
        for place, (setting, value) in enumerate(zip(settings, values, strict=True)):
            axes.plot(value, y, _MARKERS[setting], markersize=3.6, color=colour or "#777777", markeredgewidth=0.7,
                      markerfacecolor=colour or "white", zorder=3)
            axes.annotate(f"{value:.3f}", (1, y), (8 + 26 * place, 0), textcoords="offset points",
                          xycoords=("axes fraction", "data"), va="center_baseline", fontsize=6, annotation_clip=False,
                          color=colour or "#444444")
    for place, setting in enumerate(settings):
        axes.plot([], [], _MARKERS[setting], color="#777777", markersize=3.6, markerfacecolor="white", label=setting)
        axes.annotate(setting, (1, -1), (8 + 26 * place, 0), textcoords="offset points",
                      xycoords=("axes fraction", "data"), va="center_baseline", fontsize=5.6, annotation_clip=False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, borderpad=0, handletextpad=0)
    axes.set(xlim=(low, 1), ylim=(len(entries) - 0.4, -1.4),
             xlabel="Average precision; grey: as reported by the authors, not measured here")
    axes.set_yticks(range(len(entries)), [name for name, _, _ in entries])
    for label, (_, _, colour) in zip(axes.get_yticklabels(), entries, strict=True):
        label.set(color=colour or "#444444", fontweight="bold" if colour else "normal")
    axes.tick_params(axis="y", length=0)
    axes.grid(True)
    axes.set_axisbelow(True)
