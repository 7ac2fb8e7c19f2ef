#!/usr/bin/env python3
"""Build the site into build/site from docs/, the texts at the root, the model cards and the docstrings: make docs.

The pages of the repository link to one another as files, so they work on a forge. Here they are gathered in
build/pages, with their links moved along; a link to a file that is no page of the site (code, a config) becomes plain
text. Needs the extra docs. Nothing is loaded from another host, neither while building nor by a reader's browser.
Pages open from the folder; only the search needs a server: python -m http.server -d build/site.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGES, SITE = ROOT / "build" / "pages", ROOT / "build" / "site"
TEXTS = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md",
         "SECURITY.md": "security.md", "data/README.md": "data.md", "docs/results/README.md": "results/index.md"}
FILES = ["LICENSE", "CITATION.cff"]
API = {  # heading -> (sentence, names)
    "Finding faces": ("The [library](library.md) page shows how they are used.", [
        "manyfaces.inference.detector.Detector", "manyfaces.detections.Detections", "manyfaces.detections.Face",
        "manyfaces.inference.video.detect.Video", "manyfaces.inference.video.reader.VideoEnded",
        "manyfaces.pretrained", "manyfaces.errors.InputError"]),
    "Images and annotations": ("", [
        "manyfaces.datasets.images.read_image", "manyfaces.datasets.images.ImageError", "manyfaces.datasets.roidb",
        "manyfaces.datasets.storage"]),
    "Evaluation": ("The [evaluation](evaluation.md) page has the rules.", [
        "manyfaces.evaluation.wider", "manyfaces.evaluation.curve", "manyfaces.evaluation.voc",
        "manyfaces.evaluation.files.predictions", "manyfaces.evaluation.files.ground_truth"]),
    "Families of your own": ("The page on [own families](own_family.md) has a whole one.", [
        "manyfaces.nets.register_family", "manyfaces.nets.family", "manyfaces.nets.backbones.register_backbone"]),
}
LINK = re.compile(r"(!?)\[((?:[^][]|\[[^][]*\])*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"(^ *```.*?^ *```)", re.DOTALL | re.MULTILINE)
# What makes a browser load something; links that a reader follows are no such thing.
LOADED = re.compile(r"<(?:script|img|iframe|source|video|audio|embed|object)\b[^>]*?\b(?:src|srcset|data)=[\"']?"
                    r"((?:https?:)?//[^\"' >]+)"
                    r"|<link\b(?![^>]*rel=[\"']?canonical)[^>]*?\bhref=[\"']?((?:https?:)?//[^\"' >]+)"
                    r"|(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)", re.IGNORECASE)


def place(source: str) -> str | None:
    """Path in the site of a file of the repository, both relative; None when the site does not have it."""
    path = PurePosixPath(source)
    if source in TEXTS:
        return TEXTS[source]
    if path.parent.as_posix() == "lib/pretrained" and path.suffix == ".md":
        return f"models/{path.name}"
    if source in FILES:
        return f"files/{path.name}.txt"
    if path.parts[0] == "docs" and path.suffix in {".md", ".jpg", ".png", ".svg", ".csv", ".css"}:
        return path.relative_to("docs").as_posix()
    return None


def moved(text: str, source: str) -> str:
    """The text of a page with its links changed for its place in the site."""
    def link(match: re.Match) -> str:
        mark, words, target = match.groups()
        path, hash_sign, heading = target.partition("#")
        if "://" in target or not path:
            return match[0]
        file = os.path.normpath(os.path.join(os.path.dirname(source), path))
        if (ROOT / file).is_dir():
            file += "/README.md"
        new = place(file)
        if new is None:
            return words
        here = os.path.dirname(place(source) or "")
        return f"{mark}[{words}]({os.path.relpath(new, here or '.')}{hash_sign}{heading})"

    pieces = FENCE.split(text)
    return "".join(piece if number % 2 else LINK.sub(link, piece) for number, piece in enumerate(pieces))


def from_percent(text: str) -> str:
    """A page from a notebook in the percent format: its comments are Markdown, its cells are code."""
    page = []
    for cell in re.split(r"^# %%", text, flags=re.MULTILINE)[1:]:
        kind, _, body = cell.partition("\n")
        if "[markdown]" in kind:
            page.append(re.sub(r"^# ?", "", body.strip("\n"), flags=re.MULTILINE))
        else:
            page.append(f"```python\n{body.strip()}\n```")
    return "\n\n".join(page) + "\n"


def api_page() -> str:
    """The page of the API: a directive of mkdocstrings per name."""
    lines = ["# API", "", "From the docstrings. Names that are not here may change without a note.", ""]
    for heading, (sentence, names) in API.items():
        lines += [f"## {heading}", "", *([sentence, ""] if sentence else [])]
        for name in names:
            lines += [f"::: {name}", "    options:", "      heading_level: 3", "      inherited_members: true", ""]
    return "\n".join(lines)


def gather() -> list[str]:
    """Fill build/pages and return the pages, relative to it.

    Raises:
        SystemExit: a page is missing in the navigation of mkdocs.yml, or the navigation names a page that is missing.
    """
    shutil.rmtree(PAGES, ignore_errors=True)
    sources = [path.relative_to(ROOT).as_posix() for folder in ("docs", "lib/pretrained")
               for path in sorted((ROOT / folder).rglob("*")) if path.is_file()]
    for source in [*TEXTS, *FILES, *sources]:
        name = place(source)
        if name is None:
            continue
        target = PAGES / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.endswith(".md"):
            target.write_text(moved((ROOT / source).read_text(encoding="utf-8"), source), encoding="utf-8")
        else:
            shutil.copyfile(ROOT / source, target)
    quickstart = (ROOT / "docs" / "quickstart.py").read_text(encoding="utf-8")
    (PAGES / "quickstart.md").write_text(moved(from_percent(quickstart), "docs/quickstart.md"), encoding="utf-8")
    (PAGES / "api.md").write_text(api_page(), encoding="utf-8")
    package = ROOT / "build" / "package" / "manyfaces"  # the package is in lib/; the docstrings are found by its name
    package.parent.mkdir(parents=True, exist_ok=True)
    if not package.is_symlink():
        package.symlink_to(ROOT / "lib", target_is_directory=True)
    pages = sorted(path.relative_to(PAGES).as_posix() for path in PAGES.rglob("*.md"))
    nav = set(re.findall(r"[\w/.-]+\.md", yaml.dump(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])))
    if nav != set(pages):
        sys.exit(f"error: mkdocs.yml: its nav lacks these pages: {sorted(set(pages) - nav) or 'none'}; it names "
                 f"these, which do not exist: {sorted(nav - set(pages)) or 'none'}")
    return pages


def foreign(folder: Path) -> list[str]:
    """What the pages and styles of a folder would load from another host, as "file: address"."""
    return [f"{path.relative_to(folder)}: {next(filter(None, match.groups()))}"
            for path in sorted(folder.rglob("*")) if path.suffix in {".html", ".css"}
            for match in LOADED.finditer(path.read_text(encoding="utf-8"))]


def add_demo() -> None:
    """The page of `manyfaces web` as SITE/demo, where its runtime has been fetched before: no network is used here."""
    from manyfaces.web import runtime_folder, site_files
    from manyfaces.web.build import build_site

    runtime = runtime_folder()
    if runtime is None:
        print("without the live demo: `manyfaces web` fetches its runtime once, with npm (docs/web.md)")
        return
    size = build_site(SITE / "demo", site_files(runtime=runtime, webgpu=False))
    gallery = SITE / "gallery.html"
    before, mark, after = gallery.read_text(encoding="utf-8").partition('<h2 id="ssh">')
    link = '<p><a href="demo/index.html">Try it in your browser</a>: the pictures stay there.</p>\n'
    gallery.write_text(before + link + mark + after, encoding="utf-8")
    print(f"with the live demo, {size / 1e6:.0f} MB, in {os.path.relpath(SITE / 'demo')}; it needs a server")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--with", dest="builder", choices=["zensical", "mkdocs"], default="zensical")
    parser.add_argument("--demo", action="store_true", help="with the page of `manyfaces web`, if it was used before")
    options = parser.parse_args()
    builder = options.builder
    pages = gather()
    shutil.rmtree(SITE, ignore_errors=True)
    command = [sys.executable, "-m", builder, "build", "--strict", "--clean", "-f", str(ROOT / "mkdocs.yml")]
    if subprocess.run(command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}).returncode:
        print(f"error: {builder} did not build the site", file=sys.stderr)
        return 1
    if requests := foreign(SITE):
        print("error: the site would load from other hosts:", *requests, sep="\n  ", file=sys.stderr)
        return 1
    if options.demo:
        add_demo()
    print(f"{len(pages)} pages in {SITE.relative_to(ROOT)}; open {(SITE / 'index.html').relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
