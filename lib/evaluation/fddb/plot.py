"""FDDB's two ROC curves as a figure, in the manner of the benchmark's own: rate over number of false positives."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..report.charts import Line, LineChart, look
from ..report.plots import STYLE, draw, write_figure
from .roc import CURVE, POINTS, Roc

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def roc_plot(methods: Sequence[tuple[str, Roc]], path: str | os.PathLike) -> list[str]:
    """Write the figure of roc_figure as PNG and PDF.

    Args:
        methods: as in roc_figure.
        path: as in plots.write_figure.

    Returns:
        The two paths.

    Raises:
        OSError: a file cannot be written.
    """
    return write_figure(roc_figure(methods), path)


def roc_figure(methods: Sequence[tuple[str, Roc]]) -> Figure:
    """A panel for the discrete and one for the continuous ROC, to 2,000 false positives.

    The legend gives the rate at 1,000 false positives, in falling order. A curve that ends early has no more
    detections.

    Args:
        methods: (name, Roc); the place in the list decides the look.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.2), layout="constrained")
        FigureCanvasAgg(figure)
        for place, axes in enumerate(figure.subplots(1, 2)):
            draw(axes, roc_chart(methods, ("discrete", "continuous")[place]), leftmost=place == 0, longest=28)
            if methods:
                axes.legend(loc="lower right", title=f"rate at {POINTS[-1]:,} false positives", title_fontsize=6,
                            fontsize=6, handlelength=2.6, labelspacing=0.25, edgecolor="#bbbbbb", fancybox=False)
    return figure


def roc_chart(methods: Sequence[tuple[str, Roc]], kind: str) -> LineChart:
    """True positive rate over false positives.

    Args:
        methods: as in roc_figure.
        kind: "discrete" or "continuous".
    """
    lines = [Line(name, roc.at(POINTS[-1])[kind], *_steps(roc, kind), look(index))
             for index, (name, roc) in enumerate(methods)]
    return LineChart(f"{kind.capitalize()} score", "False positives", "True positive rate", lines,
                     np.linspace(0, CURVE, 5), np.arange(11) / 10, POINTS)


def _steps(roc: Roc, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Corners of a step curve: from (0, 0), and to the frame where there are more false positives than it shows."""
    positives, discrete, continuous = roc.steps(CURVE)
    rates = discrete if kind == "discrete" else continuous
    x, y = np.concatenate([[0], positives]), np.concatenate([[0.0], rates])
    if len(positives) and (roc.false_positives > CURVE).any():
        x, y = np.append(x, CURVE), np.append(y, y[-1])
    return np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]
