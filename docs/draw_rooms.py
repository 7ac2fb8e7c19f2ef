#!/usr/bin/env python3
"""Draw docs/images/rooms.svg from the table "Rooms" of docs/architecture.md: python docs/draw_rooms.py.

A room is drawn one floor above the highest room that it imports. Imports that a longer path already shows are left
out, and so are lines to the small modules at the bottom, which every room may use.
"""

import re
from pathlib import Path

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

HERE = Path(__file__).resolve().parent
WIDTH, HEIGHT = 1.56, 0.52  # of a room, inches
COLOURS = {"shared": "#e8edf2", "core": "#d9ead3", "data": "#fff2cc", "nets": "#f4d6cc", "use": "#d6e4f7",
           "outside": "#ffffff"}
KINDS = {"shared": "errors constants progress files locks texts compiled align drawing detections_json detections "
                   "config",
         "core": "boxes nms cascade templates", "data": "datasets data_layer evaluation",
         "nets": "nets weights runtimes pretrained", "use": "inference export engine web serve commands __main__",
         "outside": "benchmarks/ tools/"}
KIND = {room: kind for kind, rooms in KINDS.items() for room in rooms.split()}


def read_table(path):
    """(names of the modules that import nothing, dict of each other room -> set of the rooms that it may import)."""
    section = path.read_text(encoding="utf-8").split("\n## Rooms\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(.+?)` \|.*\| (.+?) \|$", section, re.MULTILINE)
    table = {room: set(re.findall("`(.+?)`", allowed)) for room, allowed in rows}
    base = {room for room, allowed in table.items() if not allowed}
    return sorted(base), {room: allowed - base for room, allowed in table.items() if room not in base}


def floors_of(table):
    """Dict room -> floor: 0 where it imports nothing, else one above the highest room that it imports."""
    floors = {}

    def floor(room):
        if room not in floors:
            floors[room] = 1 + max(map(floor, table[room]), default=-1)
        return floors[room]

    for room in table:
        floor(room)
    return floors


def direct(table):
    """Pairs (room, imported room) without those that a longer way already shows."""
    def reach(room):
        return set().union(*({other} | reach(other) for other in table[room])) if table[room] else set()

    for room, imported in table.items():
        behind = set().union(*(reach(other) for other in imported)) if imported else set()
        yield from ((room, other) for other in sorted(imported - behind))


def draw(base, table, modules):
    """The Figure. base, table: as read_table gives them. modules: dict room -> number of modules, printed in it."""
    floors, lines = floors_of(table), list(direct(table))
    rows = [[room for room in table if floors[room] == number] for number in range(max(floors.values()) + 1)]
    centre, places = {}, {}
    for row in reversed(rows):  # from the top down: each room as near to those that import it as its floor allows
        pull = {room: [centre[upper] for upper, lower in lines if lower == room] or [0.0] for room in row}
        row.sort(key=lambda room: sum(pull[room]) / len(pull[room]))
        centre |= {room: column - (len(row) - 1) / 2 for column, room in enumerate(row)}
    widest = max(map(len, rows))
    figure = Figure(figsize=(widest * (WIDTH + 0.24) + 0.2, (len(rows) + 1) * (HEIGHT + 0.42) + 0.1))
    axes = figure.add_axes([0, 0, 1, 1])
    axes.set_axis_off()
    axes.set_xlim(0, figure.get_figwidth())
    axes.set_ylim(0, figure.get_figheight())
    for number, row in enumerate(rows):
        for room in row:
            places[room] = (figure.get_figwidth() / 2 + centre[room] * (WIDTH + 0.24) - WIDTH / 2,
                            0.15 + (number + 1) * (HEIGHT + 0.42))
    for room, other in lines:
        (x1, y1), (x2, y2) = places[room], places[other]
        axes.plot([x1 + WIDTH / 2, x2 + WIDTH / 2], [y1, y2 + HEIGHT], color="#9aa5b1", linewidth=0.8, zorder=1)
    left = min(x for x, _ in places.values())
    wide = figure.get_figwidth() - 2 * left
    axes.add_patch(FancyBboxPatch((left, 0.15), wide, HEIGHT, boxstyle="round,pad=0,rounding_size=0.07",
                                  facecolor=COLOURS["shared"], edgecolor="#5b6770", linewidth=0.9))
    axes.text(figure.get_figwidth() / 2, 0.15 + HEIGHT / 2, f"{', '.join(base)}: used by all", ha="center",
              va="center", fontsize=10.5)
    for room, (x, y) in places.items():
        axes.add_patch(FancyBboxPatch((x, y), WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.07", zorder=2,
                                      facecolor=COLOURS[KIND.get(room, "outside")], edgecolor="#5b6770", linewidth=0.9))
        count = modules.get(room, 1)
        axes.text(x + WIDTH / 2, y + HEIGHT / 2 + (0.09 if count > 1 else 0), room, ha="center", va="center",
                  fontsize=10.5, zorder=3)
        if count > 1:
            axes.text(x + WIDTH / 2, y + 0.14, f"{count} modules", ha="center", va="center", fontsize=7.5,
                      color="#5b6770", zorder=3)
    return figure


def main():
    (base, table), root = read_table(HERE / "architecture.md"), HERE.parent
    folders = {room: root / room.rstrip("/") if room.endswith("/") else root / "lib" / room for room in table}
    modules = {room: sum(path.suffix in (".py", ".pyx", ".pxi") for path in folder.rglob("*"))
               for room, folder in folders.items() if folder.is_dir()}
    # A fixed salt and no date: the same table gives the same file. Text stays text, so that a test can read it.
    with rc_context({"svg.hashsalt": "rooms", "svg.fonttype": "none", "font.family": "DejaVu Sans"}):
        FigureCanvasSVG(draw(base, table, modules)).print_svg(HERE / "images" / "rooms.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
