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
SOURCES = sorted((ROOT / "lib").rglob("*.py")) + sorted((ROOT / "lib").rglob("*.pyx"))

# Names that a reader puts her own into, and what a training or a reader creates.
PLACEHOLDER = re.compile(r"NAME|DIR|FILE|mine|[*{<\[]")


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
    named = (path.rstrip(".") for path in named)
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


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_name_modules_that_import(page):
    for name in sorted(set(re.findall(r"\bmanyfaces(?:\.[A-Za-z_]\w*)+", page.read_text()))):
        resolve(name)


@pytest.mark.parametrize("source", SOURCES, ids=name_of)
def test_sources_name_files_that_exist(source):
    """In docstrings, comments and messages."""
    text = source.read_text()
    assert not missing("\n".join(re.findall(r"(?<![\w./-])(?:lib|docs)/[\w./-]*\.(?:pyx?|md)\b", text)))


@pytest.mark.parametrize("source", SOURCES, ids=name_of)
def test_sources_name_modules_that_import(source):
    for name in sorted(set(re.findall(r"\bmanyfaces(?:\.[A-Za-z_]\w*)+", source.read_text()))):
        resolve(name)


def resolve(name):
    """Import the longest module of a dotted name and take the rest as attributes; raises where one is missing."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("manyfaces"):
                pytest.skip(f"{error.name} is not installed")
            continue
        for attribute in parts[end:]:
            thing = getattr(thing, attribute)
        return thing
    raise ModuleNotFoundError(name)
