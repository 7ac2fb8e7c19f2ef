"""The site: pages gathered from the repository, built strictly, without a request to another host; the quickstart."""

import functools
import importlib.util
import resource
import subprocess
import sys

import pytest
import yaml
from conftest import ROOT

from manyfaces.web import runtime
from manyfaces.web.runtime import cache_folder

spec = importlib.util.spec_from_file_location("build_site", ROOT / "docs" / "build_site.py")
build_site = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build_site)

HEAVY = "tensorflow keras matplotlib skimage scipy openvino ai_edge_litert"  # what a plain pip install does not bring
needs_extra = pytest.mark.skipif(importlib.util.find_spec("zensical") is None or
                                 importlib.util.find_spec("mkdocstrings") is None,
                                 reason="the site needs the extra docs: pip install -e '.[docs]'")


@pytest.mark.parametrize("source, text, expected", [
    ("docs/ssd.md", "[x](ssh.md#a-b) [y](https://a.b/c.md) [z](#here)",
     "[x](ssh.md#a-b) [y](https://a.b/c.md) [z](#here)"),
    ("README.md", "[x](docs/ssh.md) ![y](docs/images/demo.jpg)", "[x](ssh.md) ![y](images/demo.jpg)"),
    ("docs/ssd.md", "[the card](../lib/pretrained/mtcnn.md)", "[the card](models/mtcnn.md)"),
    ("docs/results/README.md", "[x](../ssh.md#y)", "[x](../ssh.md#y)"),
    ("lib/pretrained/mtcnn.md", "[x](../../docs/mtcnn.md)", "[x](../mtcnn.md)"),
    ("docs/ssd.md", "[all](results/)", "[all](results/index.md)"),
    ("docs/ssd.md", "see [the code](../lib/nets/ssd.py).", "see the code."),
    ("README.md", "[`a[0]`](CHANGELOG.md)", "[`a[0]`](changelog.md)"),
    ("README.md", "```\n[x](docs/ssh.md)\n```\n[y](docs/ssh.md)", "```\n[x](docs/ssh.md)\n```\n[y](ssh.md)")])
def test_links_follow_the_pages_to_their_places(source, text, expected):
    assert build_site.moved(text, source) == expected


def test_a_notebook_becomes_a_page():
    text = "# ---\n# jupyter: x\n# ---\n\n# %% [markdown]\n# # Title\n#\n# - a\n\n# %%\nx = 1  # %%\n\n\n# note\n"
    assert build_site.from_percent(text) == "# Title\n\n- a\n\n```python\nx = 1  # %%\n\n\n# note\n```\n"


@pytest.mark.parametrize("text, count", [
    ('<script src="https://a.b/c.js"></script>', 1), ("<img alt=x src=//a.b/c.png>", 1),
    ('<link rel="stylesheet" href="https://a.b/c.css">', 1),
    ("@import 'https://a.b/c.css'; p { background: url(//a.b/c) }", 2),
    ('<a href="https://a.b/c">x</a> <script src="assets/c.js"></script> <img src="data:image/png;base64,//aa">', 0),
    ('<link rel="canonical" href="https://a.b/c">', 0)])
def test_what_a_browser_would_load_from_elsewhere_is_found(tmp_path, text, count):
    (tmp_path / "page.html").write_text(text)
    assert len(build_site.foreign(tmp_path)) == count


def timed(command, **options):
    """(finished process, s of processor time): on a busy machine the clock says little."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@functools.cache
def build():
    """(finished process, s of processor time) of the only build of the whole site in a run of the tests."""
    return timed([sys.executable, ROOT / "docs" / "build_site.py"])


@needs_extra
def test_the_live_demo_is_added_where_its_runtime_was_fetched_before(tmp_path, monkeypatch, capsys):
    build()
    gallery = (build_site.SITE / "gallery.html").read_text(encoding="utf-8")
    (tmp_path / "gallery.html").write_text(gallery, encoding="utf-8")
    monkeypatch.setattr(build_site, "SITE", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    build_site.add_demo()
    assert capsys.readouterr().out.startswith("without the live demo")
    assert {path.name for path in tmp_path.iterdir()} == {"gallery.html"}
    folder = cache_folder() / runtime._version()
    folder.mkdir(parents=True)
    for name in runtime.KEPT:
        (folder / name).write_text(name)
    build_site.add_demo()
    link = '<p><a href="demo/index.html">Try it in your browser</a>: the pictures stay there.</p>\n<h2 id="ssh">'
    assert (tmp_path / "gallery.html").read_text(encoding="utf-8") == gallery.replace('<h2 id="ssh">', link) != gallery
    assert (tmp_path / "demo" / "index.html").is_file() and (tmp_path / "demo" / "site.json").is_file()
    assert build_site.foreign(tmp_path / "demo") == []


@needs_extra
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere():
    done, seconds = build()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stderr + done.stdout and "griffe" not in done.stderr + done.stdout
    assert seconds < 15
    pages = {path.relative_to(build_site.PAGES).with_suffix("") for path in build_site.PAGES.rglob("*.md")}
    html = {path.relative_to(build_site.SITE).with_suffix("") for path in build_site.SITE.rglob("*.html")}
    assert len(pages) > 25 and pages <= html
    api = (build_site.SITE / "api.html").read_text(encoding="utf-8")
    assert "Detector.detect" in api and "Several threads may call this at once" in api  # inherited, and its docstring


@needs_extra
@pytest.mark.parametrize("wrong", ["[x](nowhere.md)", "[x](ssh.md#no-such-heading)"])
def test_a_strict_build_refuses_links_that_lead_nowhere(tmp_path, wrong):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "ssh.md").write_text("# SSH\n")
    (tmp_path / "docs" / "index.md").write_text(f"# Home\n\n{wrong}\n")
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    config |= {"docs_dir": "docs", "site_dir": "site", "plugins": ["search"]}  # without the API, which takes its time
    del config["nav"]
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(config))
    done = subprocess.run([sys.executable, "-m", "zensical", "build", "--strict", "-f", "mkdocs.yml"], cwd=tmp_path,
                          capture_output=True, text=True, timeout=200)
    assert done.returncode, done.stdout + done.stderr


def test_the_quickstart_runs_on_a_plain_installation(tmp_path):
    """The packages of the extras are hidden, the folder is empty, and the file keeps no outputs."""
    source = (ROOT / "docs" / "quickstart.py").read_text(encoding="utf-8")
    assert source.startswith("# ---\n# jupyter:\n") and "format_name: percent" in source and "outputs" not in source
    hide = f"import sys\nfor name in {HEAVY!r}.split():\n    sys.modules[name] = None\n"
    done, seconds = timed([sys.executable, "-W", "error", "-c", hide + source], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert seconds < 60
    lines = done.stdout.splitlines()
    assert [line.startswith("score 0.") for line in lines[:2]] == [True, False]  # a portrait, one face
    assert "upright: (1, 112, 112, 3)" in done.stdout and lines[2].endswith("True")
    assert (tmp_path / "output" / "quickstart" / "drawn.jpg").stat().st_size > 20_000
