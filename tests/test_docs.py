"""What the pages, docstrings and comments name exists: links, files of the tree, modules of the package."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = "lib|docs|tools|cfgs|experiments|tests|benchmarks|demo"
SKIPPED = {".venv", ".git", ".pkg", "build", "output", "data", "shared", "node_modules"}  # not written by this project
PAGES = sorted(path for path in ROOT.rglob("*.md") if not SKIPPED & set(path.relative_to(ROOT).parts[:-1])) + [
    ROOT / "data" / "README.md", ROOT / "output" / "README.md"]
# Not tests/: its sources name files that are made while they run, and files that are missing on purpose.
SOURCES = sorted(path for folder, suffixes in (("lib", ".py .pyx .pxi"), ("benchmarks", ".py"), ("tools", ".py"),
                                               ("experiments", ".sh"), ("cfgs", ".yml"))
                 for path in (ROOT / folder).rglob("*") if path.suffix in suffixes.split()) + [ROOT / "Makefile"]

# Words that a reader replaces by her own: a path with one of them is a pattern.
PLACEHOLDER = re.compile(r"NAME|STAGE|DIR|FILE|mine|[*{<\[]")


def name_of(path):
    return str(path.relative_to(ROOT))


def prose(page):
    """The page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(page):
    """The names that GitHub gives to the page's headings."""
    titles = re.findall(r"^#+ (.*)", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def missing(text):
    """Paths of the tree that the text names and that are not there."""
    named = re.findall(rf"(?<![\w./-])(?:{FOLDERS})/[\w./*{{}}<>\[\]-]*", text)
    named = (path.rstrip(".]") for path in named)
    return sorted({path for path in named if not PLACEHOLDER.search(path) and not (ROOT / path).exists()})


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_lead_to_a_file_and_a_heading(page):
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    broken = []
    for link in links:
        if "://" in link:
            continue
        target, _, heading = link.partition("#")
        target = (page.parent / target).resolve() if target else page
        if not target.exists() or heading and heading not in anchors(target):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_name_files_that_exist(page):
    """In backticks and in fenced blocks: commands and snippets have to work as well."""
    code = re.findall(r"```.*?```|`[^`]+`", page.read_text(), re.DOTALL)
    assert not missing("\n".join(code))


def test_sources_name_files_that_exist():
    """In docstrings, comments and messages."""
    broken = {name_of(source): missing(source.read_text()) for source in SOURCES}
    assert not {source: paths for source, paths in broken.items() if paths}


def test_modules_that_are_named_import():
    """In pages, docstrings and comments; attributes, classes and functions too."""
    named = {}
    for path in PAGES + SOURCES:
        for name in re.findall(r"\bmanyfaces(?:\.[A-Za-z_]\w*)+(?![\w-])", path.read_text()):
            named.setdefault(name, name_of(path))
    broken = {}
    for name, place in sorted(named.items()):
        try:
            resolve(name)
        except (AttributeError, ModuleNotFoundError) as error:
            broken[name] = f"{place}: {error}"
    assert not broken


def resolve(name):
    """Import the longest module of a dotted name and take the rest as attributes; raises where one is missing."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError as error:
            if not error.name.startswith("manyfaces"):
                return  # a package that is not installed here: the module itself was found
            continue
        for attribute in parts[end:]:
            thing = getattr(thing, attribute)
        return
    raise ModuleNotFoundError(name)
