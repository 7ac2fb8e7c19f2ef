"""MTCNN's scripts from samples to images on the toy data set: train (interrupted and resumed), test, demo, export.

Loading Keras takes longer than all of their work here. So instead of Python the scripts get a program that passes each
command to this process, which calls the tool.
"""

import json
import os
import shlex
import subprocess
import time

import numpy as np
import pytest
from conftest import ROOT

from manyfaces.cascade.stages import STAGES
from manyfaces.commands.command_line import run
from manyfaces.datasets.readers import READERS
from manyfaces.datasets.roidb import save_roidb
from manyfaces.engine.train import Trainer
from manyfaces.export import export as exporting
from manyfaces.inference.detector import Detector

pytestmark = pytest.mark.slow

WORDS = ("MTCNN.COUNTS [60,60,60,180] TRAIN.BATCH 96 TRAIN.STEPS 4 TRAIN.SELECT_EVERY 2 TRAIN.SAVE_EVERY 2 "
         "TRAIN.LOG_EVERY 1 TRAIN.DETERMINISTIC False MTCNN.MINE_THRESHOLDS [0.4,0.4] MTCNN.MINE_MIN_FACE 50 "
         "CASCADE.MIN_FACE 80 CASCADE.THRESHOLDS [0.4,0.4,0.4]").split()


class Scripts:
    """`scripts(NAME, ARGUMENT ...)` runs experiments/scripts/NAME.sh: its exit code, and the words of each call."""

    def __init__(self, folder, tool, environment):
        self.folder, self.tool = folder, tool
        python = folder / "python"
        python.write_text(f"""#!/bin/sh
cd {shlex.quote(str(folder))}
printf '%s\\n' "$@" > asking && mv asking asked
while [ ! -f answer ]; do sleep 0.02; done
code=$(cat answer); rm answer; exit "$code"
""")
        python.chmod(0o755)
        self.environment = {**os.environ, **environment, "PYTHON": str(python)}

    def __call__(self, name, *arguments):
        script = subprocess.Popen([ROOT / f"experiments/scripts/{name}.sh", *arguments], env=self.environment)
        called, asked = [], self.folder / "asked"
        while script.poll() is None:
            if asked.exists():
                words = asked.read_text().splitlines()
                asked.unlink()
                called.append(words)
                code = self._answer(words)
                (self.folder / "answering").write_text(str(code))
                (self.folder / "answering").rename(self.folder / "answer")
            time.sleep(0.01)
        return script.returncode, called

    def _answer(self, words):
        path, *arguments = words
        try:
            return run(self.tool(os.path.basename(path).removesuffix(".py")).main, arguments)
        except SystemExit as end:
            return end.code


@pytest.fixture(scope="module")
def scripts(toy, tool, tmp_path_factory):
    """Scripts that find the toy scenes as WIDER and write to `scripts.folder / "output"`."""
    folder = tmp_path_factory.mktemp("scripts")
    roidb = READERS["retinaface"](toy["retinaface"], toy["images"])
    for name in ("train", "select"):
        save_roidb(roidb, folder / f"pickles/wider_{name}.pkl")
    (folder / "wider/WIDER_val").mkdir(parents=True)
    (folder / "wider/WIDER_val/images").symlink_to(toy["images"])
    (folder / "wider/ground_truth").symlink_to(toy["ground_truth"])
    noise = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(exporting, "check_images", lambda _: [noise])
        yield Scripts(folder, tool, {"DATA_DIR": str(folder), "DATA": str(folder), "OUTPUT": str(folder / "output")})


def tools(called):
    """The tool of each call, with its stage and --resume if the call has them."""
    return [(os.path.basename(words[0]), *(word for word in words if word in (*STAGES, "--resume")))
            for words in called]


def test_training_is_interrupted_and_continues(scripts, monkeypatch):
    """Ctrl-C in R-Net's fourth step: the same command continues after the last checkpoint, and ends with an export."""
    out, steps, one_run = scripts.folder / "output/mtcnn_wider", [], Trainer.run

    def recorded(trainer):
        one_step, name = trainer.train_step, trainer.family.name

        def step(*arguments):
            steps.append((name, trainer.step))
            if name == "rnet" and trainer.step == 3 and len(steps) == 8:
                raise KeyboardInterrupt
            return one_step(*arguments)

        trainer.train_step = step
        return one_run(trainer)

    monkeypatch.setattr(Trainer, "run", recorded)
    code, called = scripts("train_mtcnn", "cpu", "wider", *WORDS)
    assert code == 130 and [name for name, *_ in tools(called)] == ["mtcnn_samples.py", "train.py"] * 2
    first = (out / "mtcnn_pnet/best.weights.h5").read_bytes()
    code, called = scripts("train_mtcnn", "cpu", "wider", *WORDS)
    assert code == 0
    assert tools(called) == [("mtcnn_samples.py", "pnet"), ("train.py", "--resume"), ("mtcnn_samples.py", "rnet"),
                             ("train.py", "--resume"), ("mtcnn_samples.py", "onet"), ("train.py",), ("export.py",)]
    assert steps == [*(("pnet", n) for n in range(4)), *(("rnet", n) for n in (0, 1, 2, 3)), ("rnet", 2), ("rnet", 3),
                     *(("onet", n) for n in range(4))]
    assert (out / "mtcnn_pnet/best.weights.h5").read_bytes() == first, "it was trained and is not trained again"
    for stage in STAGES:
        log = (out / f"mtcnn_{stage}/select.csv").read_text().splitlines()
        assert [line.split(",")[0] for line in log] == ["step", "2", "4"]
        assert [path.name for path in (out / f"mtcnn_{stage}/tensorboard").iterdir()]
    facts = json.loads((out / "mtcnn/cascade.json").read_text())
    assert facts["licence"].startswith("WIDER FACE") and facts["config"]["CASCADE"]["MIN_FACE"] == 80
    image = np.random.default_rng(1).integers(0, 256, (120, 160, 3), np.uint8)
    assert Detector.load(out / "mtcnn").detect(image, threshold=0).boxes.shape[1] == 4


def test_the_trained_nets_are_tested_shown_and_exported(scripts, toy):
    out = scripts.folder / "output"
    if not (out / "mtcnn_wider/mtcnn/cascade.json").exists():
        pytest.skip("the training before this test has failed")
    weights = ["--weights", str(out / "mtcnn_wider")]
    words = ["--set", "CASCADE.MIN_FACE", "60", "CASCADE.THRESHOLDS", "[0.4,0.4,0.4]"]
    code, called = scripts("test_mtcnn", "cpu", "wider", "", *words)
    assert code == 0 and [words[0] for words in called] == ["tools/test.py", "tools/evaluate.py"]
    assert weights == called[0][3:5] and called[1][:2] == ["tools/evaluate.py", "wider"] and "--subset" in called[1]
    assert len(list((out / "mtcnn/pred_wider").rglob("*.txt"))) == 12

    picture = sorted((scripts.folder / "wider/WIDER_val/images").rglob("*.jpg"))[0]
    code, called = scripts("demo_mtcnn", "cpu", "wider", "cascade", str(picture), "--out", str(out / "shown"), *words)
    assert code == 0 and called[0][3:5] == weights
    assert [path.stem for path in (out / "shown").iterdir()] == [picture.stem]

    code, called = scripts("export_mtcnn", "cpu", "wider", "cascade", "onnx", *words)
    assert code == 0 and called[0][3:5] == weights
    assert Detector.load(out / "mtcnn_wider/onnx").cfg.CASCADE.MIN_FACE == 60
