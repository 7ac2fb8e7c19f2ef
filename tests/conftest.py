"""Fixtures that several folders of tests share."""

import importlib
import re
import signal
from pathlib import Path

import pytest
from chromium import Browser, find_chromium
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# A busy machine may take any time per example. What fails must fail again the next time.
settings.register_profile("manyfaces", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("manyfaces")

# A shell starts what is in its background with Ctrl-C ignored, and children inherit that. Tests of Ctrl-C would then
# wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_dir():
    """The folder `../shared` with real data; the test is skipped if it is missing."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the folder ../shared with real data is not on this machine")
    return folder


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """Paths of a small toy data set (manyfaces.datasets.toy): 12 scenes, 320 px wide. Read only."""
    from manyfaces.datasets.toy.data_set import write_toy

    return write_toy(tmp_path_factory.mktemp("toy"), images=12, seed=14, width=320)


@pytest.fixture(scope="session")
def tool():
    """tool("evaluate") is the module whose `main` tools/evaluate.py runs."""
    def load(name):
        source = (ROOT / "tools" / f"{name}.py").read_text(encoding="utf-8")
        return importlib.import_module(re.search(r"^from ([\w.]+) import main", source, re.MULTILINE)[1])

    return load


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A Chromium without a window; the test is skipped if there is none."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium on this machine; Debian: apt install chromium")
    with Browser(chromium, tmp_path_factory.mktemp("profile")) as browser:
        yield browser
