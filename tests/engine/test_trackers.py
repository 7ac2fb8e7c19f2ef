"""Trackers of other packages: what fails, hangs or is missing there ends no training. MLflow, W&B if installed."""

import importlib.util
import threading
import time

import numpy as np
import pytest

from manyfaces.config import load_config
from manyfaces.engine.tracking import background, names
from manyfaces.engine.tracking.background import Background
from manyfaces.engine.tracking.names import named_trackers
from manyfaces.engine.tracking.tracker import Run, Tracker
from manyfaces.errors import InputError


class Recorder(Tracker):
    """Records its calls, and the thread that they come in."""

    def __init__(self):
        self.calls, self.threads = [], set()

    def _add(self, *call):
        self.calls.append(call)
        self.threads.add(threading.current_thread())

    def start(self, run):
        self._add("start", run.step)

    def scalars(self, kind, values, step):
        self._add(kind, values, step)

    def images(self, kind, pictures, step):
        self._add("images", list(pictures), step)

    def artifact(self, path):
        self._add("artifact", path.name)

    def end(self, status):
        self._add("end", status)


def train(tracker, folder, steps=3, start=0):
    """What a training tells its tracker."""
    tracker.start(Run("run", folder, {"TRAIN.RATE": 0.1, "NAME": "run"}, start))
    for step in range(start + 1, start + steps + 1):
        tracker.scalars("train", {"loss": 1 / step, "norm": 2.0}, step)
        tracker.images("select", {"a: 1 of 2 faces found": np.full((30, 40, 3), 90, np.uint8)}, step)
        tracker.scalars("select", {"AP": 0.1 * step}, step)
        tracker.artifact(folder / "best.weights.h5")
    tracker.end("done")


def test_calls_arrive_in_order_in_another_thread(tmp_path, capsys):
    recorder = Recorder()
    train(Background("fake", lambda: recorder), tmp_path, 2)
    assert [call[0] for call in recorder.calls] == ["start", "train", "images", "select", "artifact", "train", "images",
                                                    "select", "artifact", "end"]
    assert recorder.calls[1] == ("train", {"loss": 1.0, "norm": 2.0}, 1)
    assert threading.current_thread() not in recorder.threads and len(recorder.threads) == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("error", [ImportError("no module"), SystemExit(3), OSError(28, "No space left on device"),
                                   KeyboardInterrupt(), RuntimeError("a\nb")])
@pytest.mark.parametrize("call", ["make", "start", "scalars", "images", "artifact", "end"])
def test_whatever_it_raises_is_one_line(tmp_path, capsys, call, error):
    def fail(*_):
        raise error

    tracker = Recorder()
    if call != "make":
        setattr(tracker, call, fail)
    train(Background("fake", fail if call == "make" else lambda: tracker), tmp_path)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: TRAIN.TRACKERS fake: {type(error).__name__}")
    assert line.endswith("the training continues without this tracker")


def test_one_that_hangs_costs_the_training_its_patience_only(tmp_path, capsys):
    never = threading.Event()
    tracker = Recorder()
    tracker.scalars = lambda *_: never.wait(60)
    began = time.monotonic()
    train(Background("fake", lambda: tracker, patience=0.2, room=5), tmp_path, 100)
    assert time.monotonic() - began < 5
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ", 2)[2] for line in lines] == [
        "too slow for this training; some values are left out there",
        "not finished after 0.2 s; it may lack the last values"]
    never.set()


def test_few_pictures_wait(tmp_path, capsys):
    gate, recorder = threading.Event(), Recorder()
    slow = Background("fake", lambda: (gate.wait(30), recorder)[1])
    slow.start(Run("run", tmp_path, {}))
    for step in range(20):
        slow.images("select", {"a": np.zeros((2, 2, 3), np.uint8)}, step)
        slow.scalars("train", {"loss": 1.0}, step)
    gate.set()
    slow.end("done")
    kinds = [call[0] for call in recorder.calls]
    assert kinds.count("images") == background.PICTURES and kinds.count("train") == 20
    assert "too slow" in capsys.readouterr().err


def test_one_that_was_slow_gets_the_end_and_later_pictures(tmp_path, capsys):
    gate, recorder = threading.Event(), Recorder()
    slow = Background("fake", lambda: (gate.wait(30), recorder)[1], room=2)
    slow.start(Run("run", tmp_path, {}))
    slow.scalars("train", {"loss": 1.0}, 1)  # now the queue is full
    for step in range(2 * background.PICTURES):
        slow.images("select", {"a": np.zeros((2, 2, 3), np.uint8)}, step)
    threading.Timer(0.1, gate.set).start()
    slow.end("done")
    assert [call[0] for call in recorder.calls] == ["start", "train", "end"]
    assert capsys.readouterr().err.count("warning") == 1, "too slow, and no more"
    assert slow.pictures.acquire(blocking=False), "pictures that did not come into the queue do not count"


def test_names_of_the_config(monkeypatch, capsys):
    def trackers(value):
        return named_trackers(load_config(overrides=["TRAIN.TRACKERS", value]))

    assert [type(tracker).__name__ for tracker in trackers("")] == ["CsvLogs", "TensorBoard", "RunPage"]
    with pytest.raises(InputError, match=r"TRAIN.TRACKERS: 'mlfow': expected some of mlflow, wandb, joined by \+"):
        trackers("mlfow")
    monkeypatch.setattr(names.importlib.util, "find_spec", lambda name: None if name == "wandb" else object())
    assert [tracker.name for tracker in trackers("mlflow+wandb+mlflow")[3:]] == ["mlflow"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line == ("warning: TRAIN.TRACKERS wandb: the package is not installed (pip install 'manyfaces[wandb]'); the "
                    "training continues without this tracker")


# ------------------------------------------------------ the packages themselves


def needs(name):
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"needs the package {name}")


def train_and_resume(name, folder, capsys):
    """Three steps with the tracker of a package, and three after a resume; nothing there may fail or be late."""
    for start in (0, 3):
        train(Background(name, names.NAMED[name], patience=120), folder, start=start)
    assert capsys.readouterr().err.count("TRAIN.TRACKERS") == 0


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "output/run"
    made.mkdir(parents=True)
    (made / "best.weights.h5").write_bytes(b"weights")
    return made


@needs("mlflow")
@pytest.mark.slow
def test_mlflow_keeps_a_training_in_one_run(folder, monkeypatch, capsys):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    train_and_resume("mlflow", folder, capsys)
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder.parent}/mlflow/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("manyfaces").experiment_id])
    assert run.info.status == "FINISHED" and run.data.params["TRAIN.RATE"] == "0.1"
    assert [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, "train/norm")] == [
        (step, 2.0) for step in range(1, 7)]
    assert "best.weights.h5" in [file.path for file in client.list_artifacts(run.info.run_id)]


@needs("wandb")
@pytest.mark.slow
def test_wandb_works_offline(folder, monkeypatch, capsys):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    train_and_resume("wandb", folder, capsys)
    number = (folder / "wandb/id.txt").read_text()
    runs = list((folder / "wandb").glob("offline-run-*"))
    assert runs and all(path.name.endswith(number) and list(path.glob("*.wandb")) for path in runs)
