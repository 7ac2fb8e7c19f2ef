"""Who may import whom: the table "Rooms" of docs/architecture.md is read here, so that page and code agree."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACES = {"lib": "manyfaces", "benchmarks": "benchmarks", "tools": "tools"}
# Detector.load is a convenience: it calls the module that opens a model and imports Detector.
ALLOWED_CIRCLE = ("manyfaces.inference.detector", "manyfaces.inference.loading")
MOST_MODULES = 14


def module_name(path):
    """lib/boxes/pairs.py is "manyfaces.boxes.pairs"; an __init__.py has the name of its folder."""
    place, *parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([PLACES[place], *(part for part in parts if part != "__init__")])


MODULES = {module_name(path): path for place in PLACES for path in sorted((ROOT / place).rglob("*.py*"))
           if path.suffix in (".py", ".pyx")}


def imported_by(name, path):
    """Yield the names of the modules that one imports, at the top or inside functions; compiled ones import none."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8")))) if path.suffix == ".py" else []
    for_types = {id(node) for block in nodes if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
                 for node in ast.walk(block)}
    for node in nodes:
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            targets = [".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names]
        else:
            continue
        for target in targets:  # a.b.c is the module a.b.c, or the name c of the module a.b
            yield from [module for module in (target, target.rpartition(".")[0]) if module in MODULES][:1]


IMPORTS = {name: set(imported_by(name, path)) - {name, "manyfaces"} for name, path in MODULES.items()}


def room(module):
    """boxes of "manyfaces.boxes.pairs"; benchmarks/ and tools/ are a room each."""
    first, *rest = module.split(".")
    return rest[0] if first == "manyfaces" and rest else first + "/"


def test_no_modules_import_one_another_in_a_circle():
    graph = {name: set(targets) for name, targets in IMPORTS.items()}
    graph[ALLOWED_CIRCLE[0]].remove(ALLOWED_CIRCLE[1])
    TopologicalSorter(graph).prepare()  # CycleError names the modules of a circle


def test_rooms_import_exactly_what_the_page_says():
    found = {room(name): set() for name in MODULES if name != "manyfaces"}
    for name, targets in IMPORTS.items():
        if name != "manyfaces":
            found[room(name)] |= {room(target) for target in targets} - {room(name)}
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(.+?)` \|.*\| (.+?) \|$", page.split("\n## Rooms\n")[1].split("\n## ")[0], re.MULTILINE)
    assert {name: set(re.findall("`(.+?)`", allowed)) for name, allowed in rows} == found
    TopologicalSorter(found).prepare()


def test_no_folder_holds_too_many_modules():
    folders = [path.parent for suffix in ("py", "pyx", "pxi") for path in (ROOT / "lib").rglob(f"*.{suffix}")]
    assert {folder: count for folder in set(folders) if (count := folders.count(folder)) > MOST_MODULES} == {}


def test_the_picture_shows_every_room():
    """docs/images/rooms.svg was drawn (python docs/draw_rooms.py) since the last change of the table."""
    picture = (ROOT / "docs" / "images" / "rooms.svg").read_text(encoding="utf-8")
    assert {room(name) for name in MODULES if name != "manyfaces"} <= set(re.findall(r"[\w/]+", picture))
