"""Hostile requests, each kind of them, in a small form; `tools/benchmark.py service` sends larger ones."""

import subprocess
import sys

import pytest
from test_service import LIMITS, encoded

from benchmarks.service.client import ask
from benchmarks.service.hostile import cases, run
from benchmarks.service.process import Served

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tried():
    """(cases with their answers, memory before and after in MB, log)."""
    with Served(*LIMITS) as served:
        before = ask(served.port, encoded()).json
        memory = served.megabytes()
        done = run(served.port, list(cases(encoded(), 1_000_000, 1_000_000, 3, bomb_side=1200)))
        after = ask(served.port, encoded()).json
        yield done, (memory, served.megabytes()), served.log(), (before, after)
        assert served.stop()[0] == 0


def test_each_is_answered_with_the_right_code_and_no_path(tried):
    done = tried[0]
    assert len(done) >= 200 and {case.kind for case in done} == {"bomb", "cut image", "cut body", "no image", "100 MB",
                                                                 "form", "HTTP", "slow"}
    assert [f"{case.kind}, {case.name}: {case.wrong()}" for case in done if case.wrong()] == []


def test_bombs_of_seven_formats_are_encoded_or_claimed(tried):
    names = {case.name.split()[0].rstrip(",") for case in tried[0] if case.kind == "bomb"}
    assert {".png", ".jpg", ".webp", ".gif", ".tiff", ".bmp"} <= names and len(names) >= 10


def test_the_service_lives_on_as_before(tried):
    _, (before, after), log, (first, last) = tried
    assert first["faces"] == last["faces"] != []
    assert after < before + 60  # MB; the bodies alone were 300 MB
    assert not [row for row in log if row["event"] == "failure"]


def test_opencv_itself_refuses_what_a_header_would_hide():
    """The second wall: the limit that OpenCV reads when it is imported."""
    code = ("from manyfaces.serve.settings import limit_opencv; limit_opencv(10_000)\n"
            "import cv2, numpy as np\n"
            "for side in (100, 101):\n"
            "    for ending in ('.png', '.jpg', '.webp', '.bmp', '.tiff'):\n"
            "        data = cv2.imencode(ending, np.zeros((side, side, 3), np.uint8))[1]\n"
            "        try:\n"
            "            found = cv2.imdecode(data, 1)\n"
            "        except cv2.error:\n"
            "            found = None\n"
            "        assert (found is not None) == (side == 100), (ending, side)\n")
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
