"""What a chart shows and how its methods look, whoever draws it.

plots.py draws with matplotlib for PNG and PDF, html/svg.py writes SVG into the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..curve import Curve

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b8548f", "#2b2f36", "#c98500", "#3f9fdc")
"""After Okabe and Ito, for readers who do not tell all colours apart; the light ones are darkened for white paper."""

DARK_COLOURS = ("#4aa8e0", "#f08a45", "#34c79b", "#dd8fbd", "#d8dce2", "#e9b44c", "#8fd0f7")
"""The same colours on a dark page."""

LINES = ("-", "--", "-.", ":")
"""Line patterns, as matplotlib names them. Their number and that of the colours share no factor, so the looks of
28 methods differ in colour or pattern."""


@dataclass(frozen=True)
class Look:
    """The look of a method in every chart.

    Attributes:
        colour: index into COLOURS and DARK_COLOURS.
        line: one of LINES.
    """

    colour: int
    line: str


def look(index: int) -> Look:
    """The look of a method by its place in the list of methods."""
    return Look(index % len(COLOURS), LINES[index % len(LINES)])


@dataclass
class Line:
    """One curve of a LineChart.

    Attributes:
        name: the method.
        value: the figure beside the name in a legend, such as its AP.
        x: (N,) float64, in the units of the axis.
        y: (N,) float64, in the units of the axis.
        look: colour and pattern.
    """

    name: str
    value: float
    x: np.ndarray
    y: np.ndarray
    look: Look


@dataclass
class LineChart:
    """Curves over two axes that begin at 0.

    Attributes:
        title: the text above the frame.
        x_label: name of the horizontal axis.
        y_label: name of the vertical axis.
        lines: the curves, one per method.
        x_ticks: rising values with a grid line; the last one is the end of the axis.
        y_ticks: as x_ticks.
        marks: values of x that a vertical line marks.
        digits: format of the value of a line.
    """

    title: str
    x_label: str
    y_label: str
    lines: list[Line]
    x_ticks: Sequence[float] | np.ndarray
    y_ticks: Sequence[float] | np.ndarray
    marks: Sequence[float] = ()
    digits: str = ".3f"


def precision_recall(title: str, methods: Sequence[tuple[str, Curve]]) -> LineChart:
    """Precision over recall, one line per method.

    Args:
        title: what the curves are about, such as a setting.
        methods: (name, Curve); the place in the list decides the look.
    """
    lines = []
    for index, (name, curve) in enumerate(methods):
        defined = curve.precision > 0  # at thresholds above every score there is nothing to divide by
        lines.append(Line(name, curve.ap, curve.recall[defined], curve.precision[defined], look(index)))
    fifths = [value / 5 for value in range(6)]
    return LineChart(title, "Recall", "Precision", lines, fifths, fifths)
