"""Draw AP against milliseconds per image from the CSV of tools/benchmark.py detectors: one SVG per setting.

A detector is a chain of points, one per runtime, with one label. The dashed line is the frontier: left of it and above
it is no detector. Times are those of a process of its own. The picture follows the reader's light or dark theme.
"""

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

from manyfaces.commands.command_line import argument_parser
from manyfaces.errors import InputError
from manyfaces.evaluation.files.ground_truth import SETTINGS
from manyfaces.evaluation.report.charts import COLOURS, DARK_COLOURS
from manyfaces.files import write_whole

from .detectors import OURS, SMALL

EXAMPLE = """
tools/frontier.py                                      # docs/results/detectors.csv to docs/images
tools/frontier.py --csv output/detectors.csv --out output
"""
AP, MS = "wider_events", "ms alone"
WIDTH, HEIGHT = 860, 520
LEFT, RIGHT, TOP, BOTTOM = 62, 24, 46, 88  # px around the frame
MARKER, FONT = 5.5, 13  # px: half of a marker's side, height of a label
LETTER = 0.58  # mean width of a letter in heights
MARKERS = {  # runtime of a row, as its name ends -> path around (0, 0)
    "ONNX Runtime": "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z", "OpenVINO": "M-4.6 -4.6h9.2v9.2h-9.2z",
    "OpenVINO, bf16": "M0 -6.4L6.4 0L0 6.4L-6.4 0z", "Keras": "M0 -6L5.8 4.6H-5.8z",
    "other": "M-5.6 -4.4H5.6L0 5.6z",
}
STYLE = f"""
svg {{ font: {FONT}px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif }}
.page {{ fill: #ffffff }} .ink {{ fill: #1f2328 }} .grid {{ stroke: #d8dee4 }} .line {{ stroke: #6e7781 }}
.ours {{ fill: {COLOURS[0]}; stroke: {COLOURS[0]} }} .peers {{ fill: {COLOURS[1]}; stroke: {COLOURS[1]} }}
.small {{ font-size: 12px }} .label {{ paint-order: stroke; stroke: #ffffff; stroke-width: 4px }}
@media (prefers-color-scheme: dark) {{
.page {{ fill: #0d1117 }} .ink {{ fill: #e6edf3 }} .grid {{ stroke: #30363d }} .line {{ stroke: #9198a1 }}
.label {{ stroke: #0d1117 }}
.ours {{ fill: {DARK_COLOURS[0]}; stroke: {DARK_COLOURS[0]} }}
.peers {{ fill: {DARK_COLOURS[1]}; stroke: {DARK_COLOURS[1]} }}
}}"""


@dataclass
class Chain:
    """A detector in all its runtimes.

    Attributes:
        name: its label.
        ours: whether it is of this package.
        points: (ms, AP, key of MARKERS), the fastest first.
    """

    name: str
    ours: bool
    points: list[tuple[float, float, str]] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of tools/frontier.py."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("--csv", default="docs/results/detectors.csv", metavar="FILE", help="(default: %(default)s)")
    parser.add_argument("--out", default="docs/images", metavar="DIR",
                        help="folder for frontier_hard.svg and frontier_medium.svg (default: %(default)s)")
    options = parser.parse_args(arguments)
    for setting in ("hard", "medium"):
        path = Path(options.out) / f"frontier_{setting}.svg"
        write_whole(path, draw(read_chains(options.csv, setting), setting).encode())
        print(f"wrote {path}")


def read_chains(path, setting: str) -> list[Chain]:
    """The detectors of a CSV of tools/benchmark.py detectors, with the AP of a setting.

    Raises:
        InputError: there is no such file, it is another table, or a cell is no number.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; tools/benchmark.py detectors --csv {path} makes it")
    rows: dict = {}
    with open(path, encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            rows.setdefault((line.get("table"), line.get("row")), {})[line.get("column")] = line.get("value")
    ours, chains = {name for models in OURS.values() for name in models}, {}
    for (table, row), cells in rows.items():
        if AP not in cells or MS not in cells:
            continue
        try:
            ms, ap = float(cells[MS]), float(cells[AP].split()[SETTINGS.index(setting)])
        except (ValueError, IndexError, AttributeError):
            ms = ap = math.nan
        if not (0 < ms < math.inf and 0 <= ap <= 1):
            raise InputError(f"{path}: row {row!r}: expected {AP} as easy, medium and hard AP and {MS} as a number "
                             f"over 0, found {cells[AP]!r} and {cells[MS]!r}")
        base, kind = re.fullmatch(r"(.*?)(?: \(([^()]*)\))?", row).groups()
        kind = (kind or "").removesuffix(", float32")
        name = f"{base}, 300 x 300" if str(table).startswith(SMALL) else base
        chain = chains.setdefault(name, Chain(name, base in ours))
        chain.points.append((ms, ap, kind if kind in MARKERS else "other"))
    if not chains:
        raise InputError(f"{path}: no row has {AP} and {MS}; measure again: tools/benchmark.py detectors --csv {path}")
    for chain in chains.values():
        chain.points.sort()
    return list(chains.values())


def frontier(chains: list[Chain]) -> list[tuple[float, float]]:
    """(ms, AP) of the points that no other beats in both, the fastest first."""
    best: list[tuple[float, float]] = []
    for ms, ap, _ in sorted((point for chain in chains for point in chain.points), key=lambda p: (p[0], -p[1])):
        if not best or ap > best[-1][1]:
            best.append((ms, ap))
    return best


def draw(chains: list[Chain], setting: str) -> str:
    """The SVG."""
    points = [point for chain in chains for point in chain.points]
    ticks_x, ticks_y = log_ticks([ms for ms, *_ in points]), ap_ticks([ap for _, ap, _ in points])

    def x(ms):
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(ms / ticks_x[0]) / math.log(ticks_x[-1] / ticks_x[0])

    def y(ap):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (ap - ticks_y[0]) / (ticks_y[-1] - ticks_y[0])

    title = f"{setting} AP on wider_events against milliseconds per image"
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
           f'role="img"><title>{title}</title><style>{STYLE}</style>',
           f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
           f'<text class="ink" x="{LEFT}" y="26" font-size="15" font-weight="600">WIDER FACE, {title}</text>']
    for tick in ticks_x:
        out.append(f'<path class="grid" d="M{x(tick):.1f} {TOP}V{HEIGHT - BOTTOM}"/><text class="ink small" '
                   f'x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick:g}</text>')
    for tick in ticks_y:
        out.append(f'<path class="grid" d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}"/><text class="ink small" '
                   f'x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{f"{tick:.1f}".removeprefix("0")}</text>')
    out.append(f'<text class="ink small" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - BOTTOM + 38}" '
               'text-anchor="middle">ms per image, whole call, in a process of its own (logarithmic)</text>')
    best = [(x(ms), y(ap)) for ms, ap in frontier(chains)]
    steps = [corner for first, second in zip(best, [*best[1:], (WIDTH - RIGHT, 0)], strict=True)
             for corner in (first, (second[0], first[1]))]
    out.append(f'<path class="line" d="M{"L".join(f"{px:.1f} {py:.1f}" for px, py in steps)}" fill="none" '
               'stroke-dasharray="5 4"/>')
    for chain in chains:
        kind = "ours" if chain.ours else "peers"
        line = "L".join(f"{x(ms):.1f} {y(ap):.1f}" for ms, ap, _ in chain.points)
        out.append(f'<path class="{kind}" d="M{line}" style="fill: none" stroke-opacity="0.6"/>')
        out += [f'<path class="{kind}" transform="translate({x(ms):.1f} {y(ap):.1f})" d="{MARKERS[marker]}"/>'
                for ms, ap, marker in chain.points]
    places = [(chain.name, [(x(ms), y(ap)) for ms, ap, _ in chain.points]) for chain in chains]
    for name, left, base in labels(places, steps):
        out.append(f'<text class="ink label" x="{left:.1f}" y="{base:.1f}">{escape(name)}</text>')
    return "\n".join([*out, *legend(), "</svg>\n"])


def legend():
    """The lines below the axis: a colour for ours and for peers, a shape for each runtime."""
    at, base = LEFT, HEIGHT - 18
    for text, kind, marker in [("ours", "ours", "ONNX Runtime"), ("others", "peers", "ONNX Runtime"),
                               *((name, "ink", name) for name in MARKERS)]:
        text = {"ONNX Runtime": "ONNX Runtime", "other": "OpenCV or another runtime"}.get(text, text)
        yield (f'<path class="{kind}" transform="translate({at + MARKER:.1f} {base - 4})" d="{MARKERS[marker]}"/>'
               f'<text class="ink small" x="{at + 16:.1f}" y="{base}">{text}</text>')
        at += 16 + len(text) * 12 * LETTER + 18


def log_ticks(values):
    """1, 2, 5, 10, ... from at most the smallest value to at least the largest one."""
    ticks = [factor * 10.0 ** power for power in range(-3, 7) for factor in (1, 2, 5)]
    low = max(tick for tick in ticks if tick <= min(values) * 0.97)
    high = min(tick for tick in ticks if tick >= max(values) * 1.03)
    return [tick for tick in ticks if low <= tick <= high]


def ap_ticks(values):
    """Tenths from below the smallest value to above the largest one."""
    low, high = math.floor(min(values) * 10 - 0.2), math.ceil(max(values) * 10 + 0.2)
    return [tenth / 10 for tenth in range(max(low, 0), min(high, 10) + 1)]


# ------------------------------------------------------------------ labels


def labels(chains, steps):
    """Yield (name, left, baseline) px of each label: beside a point of its chain, where it covers least of the rest.

    Args:
        chains: (name, [(x, y) px]) of each.
        steps: corners of the dashed line.
    """
    side = MARKER + 2
    taken = [(px - side, py - side, px + side, py + side) for _, points in chains for px, py in points]
    for line in (steps, *(points for _, points in chains)):
        taken += [(min(x1, x2) - 1, min(y1, y2) - 1, max(x1, x2) + 1, max(y1, y2) + 1)
                  for (x1, y1), (x2, y2) in zip(line, line[1:], strict=False)]
    for name, points in chains:
        width, gap = len(name) * FONT * LETTER, MARKER + 3
        places = []
        for distance in (0, FONT + 2, 2 * FONT + 4):
            for px, py in (points[0], points[-1], *points[1:-1]):
                above, below = py - gap - distance, py + gap + FONT - 2 + distance
                places += [(px - side, above), (px - side, below), (px + side - width, above),
                           (px + side - width, below), (px - width / 2, above), (px - width / 2, below),
                           *([] if distance else [(px + gap, py + 4.5), (px - gap - width, py + 4.5)])]
        costs = [(sum(common(box(*place, width), other) for other in taken) + outside(box(*place, width)), number)
                 for number, place in enumerate(places)]
        left, base = places[min(costs)[1]]
        taken.append(box(left, base, width))
        yield name, left, base


def box(left, base, width):
    """(x1, y1, x2, y2) px of a text."""
    return left, base - FONT + 2, left + width, base + 3


def common(first, second):
    """Area that two boxes share, px^2."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(width, 0) * max(height, 0)


def outside(place):
    """A cost for each px^2 of a box outside the frame, larger than that of covering something."""
    inside = common(place, (LEFT + 2, TOP + 2, WIDTH - RIGHT - 2, HEIGHT - BOTTOM - 2))
    return 10 * ((place[2] - place[0]) * (place[3] - place[1]) - inside)
