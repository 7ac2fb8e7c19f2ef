"""Precision-recall curves in the manner of WIDER FACE's official figures, beside what other detectors' authors report.

matplotlib is imported when a figure is made, and no window system is asked for.
"""

import os
from itertools import cycle

from ...files import whole_file
from ..curve import curve_of
from ..files.ground_truth import SETTINGS
from .analysis import setting_faces
from .published import choose_published

# Okabe and Ito's colours, which the colour-blind tell apart, without the yellow that paper swallows; dark ones first.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
# The two lengths share no factor, so 28 methods differ in colour or line.
LINES = ("-", "--", "-.", ":")
_MARKERS = {"easy": "^", "medium": "o", "hard": "s"}
_STYLE = {"font.family": "DejaVu Sans", "font.size": 7, "axes.titlesize": 8, "axes.labelsize": 7, "xtick.labelsize": 6,
          "ytick.labelsize": 6, "legend.fontsize": 5.6, "axes.linewidth": 0.6, "xtick.major.width": 0.6,
          "ytick.major.width": 0.6, "grid.linewidth": 0.4, "grid.color": "#d8d8d8", "pdf.fonttype": 42}
# Inches: the width of a page's text, the height of a panel, and of a line of the list and of a legend.
_WIDTH, _PANEL, _LINE, _ENTRY = 7.2, 2.1, 0.135, 0.105
# More methods than this hide the curves when their legend lies on them.
_INSIDE = 5


def curves(matches, settings=SETTINGS):
    """The Curve of each setting, a dict: what the plots take."""
    return {setting: curve_of(matches, setting_faces(matches, setting)) for setting in settings}


def pr_plot(methods, path, settings=SETTINGS, published=None):
    """Write the figure of pr_figure to path.png and path.pdf; an ending .png or .pdf of path is taken off first.

    Returns the two paths. Raises OSError when they cannot be written.
    """
    base, ending = os.path.splitext(os.fspath(path))
    base = base if ending.lower() in (".png", ".pdf") else os.fspath(path)
    figure, written = pr_figure(methods, settings, published), []
    for kind in ("png", "pdf"):
        with whole_file(f"{base}.{kind}", suffix=f".{kind}") as beside:
            # Without a date the same curves give the same file.
            figure.savefig(beside, dpi=300, metadata={"CreationDate": None} if kind == "pdf" else None)
        written.append(f"{base}.{kind}")
    return written


def pr_figure(methods, settings=SETTINGS, published=None):
    """A matplotlib Figure: a panel of curves for each setting with AP in the legend; below, the AP that others report.

    methods: list of (name, dict setting -> Curve), see curves; the look of a method follows its place in the list and
    is the same in every panel. published: rows of published.PUBLISHED, () for none, None for the usual ones. They have
    no curve, so that they stand in the list below the panels, on an axis of AP, between the methods.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    published = choose_published() if published is None else published
    looks = [(name, found, {"color": colour, "linestyle": line}) for (name, found), colour, line in
             zip(methods, cycle(COLOURS), cycle(LINES), strict=False)]
    lines = len(methods) + len(published) if published else 0
    list_height = (lines + 1) * _LINE + 0.6 if lines else 0
    inside = len(methods) <= _INSIDE
    below = list_height + 0.4 + (0 if inside else len(methods) * _ENTRY + 0.12)
    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, _PANEL + 0.25 + below))
        FigureCanvasAgg(figure)
        height = figure.get_figheight()
        step = (_WIDTH - 0.35) / len(settings)
        for place, setting in enumerate(settings):
            box = (0.45 + place * step, step - 0.22) if len(settings) > 1 else (1.95, 3.85)  # left, width
            axes = figure.add_axes((box[0] / _WIDTH, below / height, box[1] / _WIDTH, _PANEL / height))
            _panel(axes, setting, looks, place, inside)
        if lines:
            axes = figure.add_axes((1.95 / _WIDTH, 0.38 / height, 3.85 / _WIDTH, (lines + 1) * _LINE / height))
            _list(axes, looks, settings, published)
    return figure


def _panel(axes, setting, looks, place, inside):
    for name, found, look in sorted(looks, key=lambda method: -method[1][setting].ap):
        curve = found[setting]
        shown = curve.precision > 0  # at thresholds above every score there is nothing to divide by
        axes.plot(curve.recall[shown], curve.precision[shown], linewidth=1.1, **look,
                  label=f"{_shortened(name)}: {curve.ap:.3f}")
    axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel="Recall", title=setting.capitalize())
    axes.set_xticks([x / 5 for x in range(6)])
    axes.set_yticks([y / 5 for y in range(6)], None if place == 0 else [""] * 6)
    axes.grid(True)
    axes.set_axisbelow(True)
    if place == 0:
        axes.set_ylabel("Precision")
    if not looks:
        return
    where = ({"loc": "lower left"} if inside else
             {"loc": "upper left", "bbox_to_anchor": (0, -0.37 / _PANEL), "borderaxespad": 0})
    frame = axes.legend(**where, handlelength=2.6, labelspacing=0.25, borderpad=0.4, framealpha=0.9, frameon=inside,
                        edgecolor="#bbbbbb", fancybox=False).get_frame()
    frame.set_linewidth(0.5)


def _list(axes, looks, settings, published):
    """One line a model, by falling AP of the last setting: markers on an axis of AP, and the numbers."""
    entries = [(_shortened(name, 30), [found[s].ap for s in settings], look["color"]) for name, found, look in looks]
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


def _shortened(name, most=24):
    """The name with its middle left out where it is long: beginnings and ends are what differs."""
    return name if len(name) <= most else f"{name[:(most - 1) // 2]}…{name[-(most // 2):]}"
