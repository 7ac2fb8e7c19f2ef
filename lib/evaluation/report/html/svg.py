"""Charts as inline SVG in the reader's own colours: curves and bars.

A chart is as wide as a phone, so that it is never shrunk until it is unreadable; a page puts several side by side.
The classes s0, s1, ... are the colours. Line patterns or words repeat what colours show.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..charts import COLOURS, DARK_COLOURS, LineChart, Look, look
from .page import Html, join, tag

DASHES = {"-": None, "--": "7 3", "-.": "8 3 2 3", ":": "2 2"}  # px
_WIDTH, _HEIGHT = 340, 262
_LEFT, _TOP, _RIGHT, _BOTTOM = 42, 10, 330, 222  # px, the frame of the curves
_BARS, _LABEL, _BAR = 296, 18, 12  # px: the length of a full bar, the height of a row's label and of a bar


def colour_style() -> str:
    """The CSS of the methods' colours, for a light page and a dark one; paper is light."""
    light, dark = ("".join(f".s{index} {{ --c: {colour}; }} " for index, colour in enumerate(colours))
                   for colours in (COLOURS, DARK_COLOURS))
    return f"{light}\n@media screen and (prefers-color-scheme: dark) {{ {dark}}}\n"


def colour_class(index: int) -> str:
    """The class of a method's colour, by its place in the list of methods."""
    return f"s{look(index).colour}"


def swatch(index: int) -> Html:
    """A short piece of a method's line for a legend, by its place in the list of methods."""
    return swatch_of(look(index))


def swatch_of(look: Look) -> Html:
    """A short piece of a line of this look for a legend."""
    line = tag("path", d="M1 6H27", stroke_dasharray=DASHES[look.line], class_=f"curve s{look.colour}")
    return tag("svg", line, viewBox="0 0 28 12", width=28, height=12, aria_hidden="true")


def line_chart(chart: LineChart) -> Html:
    """The svg element of a chart, without title and legend. Its description names each method with its value."""
    parts = [_axes(chart)]
    for line in chart.lines:
        d = _path(_x(chart, line.x), _y(chart, line.y))
        parts.append(tag("path", d=d, stroke_dasharray=DASHES[line.look.line],
                         class_=f"curve s{line.look.colour}"))
    values = ", ".join(f"{line.name} {line.value:{chart.digits}}" for line in chart.lines)
    what = f"{chart.y_label} over" if chart.y_label else "Over"
    return _svg(_WIDTH, _HEIGHT, f"{what} {chart.x_label.lower()}, {chart.title}: {values}", parts)


def bar_chart(rows: Sequence[tuple[str, str, Sequence[tuple[float | None, float | None]]]], description: str,
              most: float = 1.0) -> Html:
    """The svg element of horizontal bars, one below the other.

    Args:
        rows: (label, note, values). The note is at the right of the label. values has one (value, mark) per method: the
            length of the bar, and where a thin line crosses it, both 0 to `most`; None draws nothing.
        description: for readers who cannot see the chart.
        most: the value of a full bar.
    """
    parts, y = [], 0
    for label, note, values in rows:
        parts.append(tag("text", label, x=0, y=y + 13))
        parts.append(tag("text", note, x=_WIDTH, y=y + 13, text_anchor="end", class_="muted"))
        y += _LABEL
        for index, (value, mark) in enumerate(values):
            parts.append(tag("rect", x=0, y=y, width=_BARS, height=_BAR - 2, class_="track"))
            if value is not None:
                length = _number(_BARS * min(max(value / most, 0), 1))
                parts.append(tag("rect", x=0, y=y, width=length, height=_BAR - 2, class_=f"bar {colour_class(index)}"))
            if mark is not None:
                at = _number(_BARS * min(max(mark / most, 0), 1))
                parts.append(tag("path", d=f"M{at} {y - 1.5}v{_BAR + 1}", class_="mark"))
            shown = "–" if value is None else f"{value:.3f}"
            parts.append(tag("text", shown, x=_WIDTH, y=y + 9, text_anchor="end", class_="value"))
            y += _BAR
        y += 7
    return _svg(_WIDTH, max(y - 5, 1), description, parts)


def _svg(width, height, description, parts):
    return tag("svg", join(parts), viewBox=f"0 0 {width} {height}", role="img", aria_label=description, class_="chart")


def _x(chart, value):
    """px from the left."""
    return _LEFT + (_RIGHT - _LEFT) * value / chart.x_ticks[-1]


def _y(chart, value):
    """px from the top."""
    return _BOTTOM - (_BOTTOM - _TOP) * value / chart.y_ticks[-1]


def _axes(chart):
    """Grid lines, marks, and the labels of both axes."""
    parts, middle = [], (_TOP + _BOTTOM) / 2
    for value in chart.x_ticks:
        x = _number(_x(chart, value))
        parts.append(tag("path", d=f"M{x} {_TOP}V{_BOTTOM}", class_="grid"))
        parts.append(tag("text", _tick(value, chart.x_ticks), x=x, y=_BOTTOM + 15, text_anchor="middle",
                         class_="muted"))
    for value in chart.y_ticks:
        y = _y(chart, value)
        parts.append(tag("path", d=f"M{_LEFT} {_number(y)}H{_RIGHT}", class_="grid"))
        parts.append(tag("text", _tick(value, chart.y_ticks), x=_LEFT - 6, y=_number(y + 4), text_anchor="end",
                         class_="muted"))
    for value in chart.marks:
        parts.append(tag("path", d=f"M{_number(_x(chart, value))} {_TOP}V{_BOTTOM}", stroke_dasharray="1 2",
                         class_="grid"))
    parts.append(tag("text", chart.x_label, x=(_LEFT + _RIGHT) / 2, y=_HEIGHT - 6, text_anchor="middle"))
    parts.append(tag("text", chart.y_label, x=11, y=middle, text_anchor="middle", transform=f"rotate(-90 11 {middle})"))
    return parts


def _tick(value, ticks):
    if ticks[-1] > 1:
        return f"{value:,.10g}"
    return f"{value:.1f}" if ticks[-1] >= 0.5 else f"{value:.10g}"


def _path(x, y, least=0.4):
    """The d of a line through points; "" for none. Points less than `least` px from the one before are left out."""
    kept, last = [], None
    for at, point in enumerate(np.column_stack([x, y]).tolist()):
        if last is None or at == len(x) - 1 or max(abs(point[0] - last[0]), abs(point[1] - last[1])) >= least:
            kept.append(f"{_number(point[0])} {_number(point[1])}")
            last = point
    # A line to itself shows as a dot: the curve of scores that are all equal is one point.
    return f"M{'L'.join(kept if len(kept) > 1 else kept * 2)}" if kept else ""


def _number(value):
    return f"{value:.1f}".removesuffix(".0")
