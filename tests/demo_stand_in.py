"""Shared by the tests of tools/demo.py: the tool with a detector of green squares, and its JSON lines.

Run as a program it is tools/demo.py with this detector, for the tests that stop it.
"""

import itertools
import json
import runpy
import sys
import time

from conftest import ROOT
from processes import PATIENCE
from stand_in import square_detector

from manyfaces.commands.command_line import run
from manyfaces.inference import models as testing

WAITS_AT = 60  # images
CFG = str(ROOT / "cfgs" / "ssh_mobilenet_v1_025.yml")


def load_squares(cfg, weights=None):
    """Replaces manyfaces.inference.models.load_detector."""
    detector = square_detector(weights)
    cfg.TEST.NMS = 0.5
    detector.cfg = cfg
    return detector


def stand_in_weights(monkeypatch, folder):
    """Give the tool a detector of green squares instead of a net; returns the path of its weights."""
    monkeypatch.setattr(testing, "load_detector", load_squares)
    (folder / "w.weights.h5").write_bytes(b"stands for weights")
    return str(folder / "w.weights.h5")


def lines(path):
    """The rows of a file of JSON lines."""
    text = path.read_text()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def demo(tool, *arguments):
    return run(tool("demo").main, ["--cfg", CFG, *map(str, arguments)])


def load_slowly(cfg, weights=None):
    """load_squares with 20 ms per image. After WAITS_AT images it waits, so that a busy test can still stop it."""
    detector, calls = load_squares(cfg, weights), itertools.count()
    find = detector.detect

    def detect(*arguments, **options):
        time.sleep(PATIENCE if next(calls) > WAITS_AT else 0.02)  # the first image is detected twice
        return find(*arguments, **options)

    detector.detect = detect
    return detector


if __name__ == "__main__":
    testing.load_detector = load_slowly
    sys.argv[0] = str(ROOT / "tools" / "demo.py")
    sys.path.insert(0, str(ROOT / "tools"))  # as Python does for a script
    runpy.run_path(sys.argv[0], run_name="__main__")
