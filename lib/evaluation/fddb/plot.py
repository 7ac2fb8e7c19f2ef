"""FDDB's two ROC curves as a figure, in the manner of the benchmark's own: rate over number of false positives."""

import os
from itertools import cycle

import numpy as np

from ...files import whole_file
from ..report.plots import COLOURS, LINES
from .roc import CURVE, POINTS

_STYLE = {"font.size": 7, "axes.titlesize": 8, "axes.linewidth": 0.6, "legend.fontsize": 6, "grid.linewidth": 0.4,
          "grid.color": "#d8d8d8", "pdf.fonttype": 42}
_LONGEST = 28  # letters of a name in the legend


def roc_plot(methods, path):
    """Write the figure of roc_figure to path.png and path.pdf; an ending .png or .pdf of path is taken off first.

    Returns the two paths. Raises OSError when they cannot be written.
    """
    base, ending = os.path.splitext(os.fspath(path))
    base = base if ending.lower() in (".png", ".pdf") else os.fspath(path)
    figure, written = roc_figure(methods), []
    for kind in ("png", "pdf"):
        with whole_file(f"{base}.{kind}", suffix=f".{kind}") as beside:
            # Without a date the same curves give the same file.
            figure.savefig(beside, dpi=300, metadata={"CreationDate": None} if kind == "pdf" else None)
        written.append(f"{base}.{kind}")
    return written


def roc_figure(methods):
    """A matplotlib Figure with a panel for the discrete and one for the continuous ROC, to 2,000 false positives.

    methods: list of (name, Roc). The legend has the rate at 1,000 false positives and stands in that order. A curve
    that stops short has no more detections.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 3.2), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, 2, sharey=True)
        for place, (kind, axes) in enumerate(zip(("discrete", "continuous"), panels, strict=True)):
            looks = zip(methods, cycle(COLOURS), cycle(LINES), strict=False)
            rated = [(roc.at(POINTS[-1])[kind], name, roc, colour, line) for (name, roc), colour, line in looks]
            for rate, name, roc, colour, line in sorted(rated, key=lambda method: -method[0]):
                x, y = _drawn(roc, place)
                axes.step(x, y, where="post", color=colour, linestyle=line, linewidth=1.1,
                          label=f"{_shortened(name)}: {rate:.3f}")
            for limit in POINTS:
                axes.axvline(limit, color="#999999", linewidth=0.6, linestyle=(0, (1, 2)), zorder=1)
            axes.set(xlim=(0, CURVE), title=f"{kind.capitalize()} score", xlabel="False positives")
            axes.grid(True)
            axes.legend(loc="lower right", title=f"rate at {POINTS[-1]:,} false positives", title_fontsize=6,
                        handlelength=2.6, labelspacing=0.25, edgecolor="#bbbbbb", fancybox=False)
        panels[0].set(ylim=(0, 1.005), ylabel="True positive rate")
        panels[0].set_yticks(np.arange(11) / 10)
    return figure


def _drawn(roc, place):
    """Corners of a step curve: from (0, 0), and on to the frame where there are more false positives than it shows."""
    positives, *rates = roc.steps(CURVE)
    x, y = np.concatenate([[0], positives]), np.concatenate([[0.0], rates[place]])
    if len(positives) and (roc.false_positives > CURVE).any():
        x, y = np.append(x, CURVE), np.append(y, y[-1])
    return x, y


def _shortened(name):
    """The name without its middle where it is long: beginnings and ends are what differs."""
    half = _LONGEST // 2
    return name if len(name) <= _LONGEST else f"{name[:half - 1]}…{name[-half:]}"
