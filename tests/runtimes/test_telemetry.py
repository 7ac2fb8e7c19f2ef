"""Detection tells nobody: the runtime's telemetry is off, which would first write an id into the user's cache."""

import os
import subprocess
import sys

import pytest

DETECT = ("import numpy as np\nfrom manyfaces import Detector\n"
          "Detector.load('ssh_mobilenet_v1_025', runtime='onnxruntime').detect(np.zeros((64, 64, 3), np.uint8))")


def environment(home, **more):
    left = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    return {**left, "HOME": str(home), **more}


@pytest.mark.slow
def test_a_detection_writes_nothing_into_the_home_of_the_user(tmp_path):
    subprocess.run([sys.executable, "-c", DETECT], env=environment(tmp_path), check=True)
    assert list(tmp_path.rglob("*")) == []


def test_a_choice_of_the_user_stays(tmp_path):
    code = "import manyfaces, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    for given, wanted in (({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")):
        done = subprocess.run([sys.executable, "-c", code], env=environment(tmp_path, **given), check=True,
                              capture_output=True, text=True)
        assert done.stdout.strip() == wanted
