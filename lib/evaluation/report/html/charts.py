"""Charts as inline SVG for a page in the reader's own colours: precision-recall curves and bars.

A chart is as wide as a phone, so that it is never shrunk until nobody can read it; a page puts several side by side.
The colours are the classes s0, s1, ... of the page's style; what is said in colour is said in line patterns or words as
well.
"""

import numpy as np

from .page import Html, join, tag

LOOKS = 7  # colours of the style; a method beyond them gets the first colour again, with the next line pattern
LINES = (None, "7 3", "2 2", "8 2 2 2")
_WIDTH, _HEIGHT = 340, 262
_LEFT, _TOP, _RIGHT, _BOTTOM = 42, 10, 330, 222  # px, the frame of the curves
_BARS, _LABEL, _BAR = 296, 18, 12  # px: the length of a full bar, the height of a row's label and of a bar


def look(index):
    """Attributes of a method's line, by its place in the list."""
    return {"class_": f"s{index % LOOKS}", "stroke_dasharray": LINES[index // LOOKS % len(LINES)] if index >= LOOKS
            else LINES[index % len(LINES)]}


def swatch(index):
    """A short piece of a method's line, for a legend."""
    line = tag("path", d="M1 6H27", **(look(index) | {"class_": f"curve s{index % LOOKS}"}))
    return tag("svg", line, viewBox="0 0 28 12", width=28, height=12, aria_hidden="true")


def pr_chart(curves, description):
    """Precision over recall. curves: list of wider.Curve, the look of each follows its place; description: for those
    who cannot see the chart."""
    parts = [_axis(value / 5) for value in range(6)]
    parts.append(tag("text", "Recall", x=(_LEFT + _RIGHT) / 2, y=_HEIGHT - 6, text_anchor="middle"))
    middle = (_TOP + _BOTTOM) / 2
    parts.append(tag("text", "Precision", x=11, y=middle, text_anchor="middle", transform=f"rotate(-90 11 {middle})"))
    for index, curve in enumerate(curves):
        shown = curve.precision > 0  # at thresholds above every score there is nothing to divide by
        x = _LEFT + (_RIGHT - _LEFT) * curve.recall[shown]
        y = _BOTTOM - (_BOTTOM - _TOP) * curve.precision[shown]
        style = look(index)
        parts.append(tag("path", d=_path(x, y), **(style | {"class_": f"curve {style['class_']}"})))
    return _svg(_WIDTH, _HEIGHT, description, parts)


def bar_chart(rows, description, most=1.0):
    """Horizontal bars, one below the other.

    rows: list of (label, note, values): values is a list, a method each, of (value, mark): the length of the bar, and
    where a thin line across it stands; both 0 to `most`, or None for nothing. note stands at the right of the label.
    description: for those who cannot see the chart. Returns an svg element.
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
                parts.append(tag("rect", x=0, y=y, width=length, height=_BAR - 2, class_=f"bar s{index % LOOKS}"))
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


def _axis(value):
    """The grid lines and labels at a fifth of either axis."""
    x, y = _LEFT + (_RIGHT - _LEFT) * value, _BOTTOM - (_BOTTOM - _TOP) * value
    return Html(tag("path", d=f"M{_number(x)} {_TOP}V{_BOTTOM}M{_LEFT} {_number(y)}H{_RIGHT}", class_="grid")
                + tag("text", f"{value:.1f}", x=_number(x), y=_BOTTOM + 15, text_anchor="middle", class_="muted")
                + tag("text", f"{value:.1f}", x=_LEFT - 6, y=_number(y + 4), text_anchor="end", class_="muted"))


def _path(x, y, least=0.4):
    """The d of a line through points, without those that lie less than `least` px from the one before; "" for none."""
    kept, last = [], None
    for at, point in enumerate(np.column_stack([x, y]).tolist()):
        if last is None or at == len(x) - 1 or max(abs(point[0] - last[0]), abs(point[1] - last[1])) >= least:
            kept.append(f"{_number(point[0])} {_number(point[1])}")
            last = point
    # A line to itself shows as a dot: the curve of scores that are all equal is one point.
    return f"M{'L'.join(kept if len(kept) > 1 else kept * 2)}" if kept else ""


def _number(value):
    return f"{value:.1f}".removesuffix(".0")
