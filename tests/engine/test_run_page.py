"""curves.png, run.html and speed.csv, and what a tracker that fails does to a training: nothing."""

import csv
import re
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from tiny_training import numbers, rows, scenes_folder, trainer

from manyfaces.datasets.roidb import Record
from manyfaces.detections import Detections
from manyfaces.engine.samples import sample_picture
from manyfaces.engine.tracking import run_page
from manyfaces.engine.tracking.curves import read_logs, read_table, run_charts, ticks
from manyfaces.engine.tracking.logs import CsvLogs
from manyfaces.engine.tracking.pace import Pace
from manyfaces.engine.tracking.run_page import RunPage
from manyfaces.engine.tracking.tracker import Run, Tracker, Trackers

scenes = pytest.fixture(scenes_folder, scope="module")


def written(folder, steps=300, selections=(100, 200, 300)):
    """Write the logs of a made-up training of two modules, as a Trainer does; returns its trackers and its Run."""
    run = Run("made <up>", folder, {"TRAIN.STEPS": 400, "TRAIN.RATE": 0.5, "TRAIN.SELECT_BY": "AP"})
    trackers = Trackers([CsvLogs(), RunPage()])
    trackers.start(run)
    for step in range(1, steps + 1):
        loss = 1 / step
        trackers.scalars("train", {"loss": 3 * loss, "m1_class": loss, "m1_box": loss, "m2_class": loss, "norm": 2.0,
                                   "rate": 1e-4}, step)
        trackers.scalars("speed", {"images_per_second": 20 + step % 3, "waits_percent": 5, "seconds": step}, step)
        if step in selections:
            trackers.images("select", {f"a & b {step}": np.full((40, 60, 3), 90, np.uint8)}, step)
            trackers.scalars("select", {"AP": 0.5 + step / 1000, "AP_set": 0.4, "loss": 1.0, "m1_class": 0.1,
                                        "m1_box": 0.2, "m2_class": 0.7}, step)
    return trackers, run


def test_the_charts_show_what_the_logs_hold(tmp_path):
    written(tmp_path)
    charts = {chart.title: chart for chart in run_charts(read_logs(tmp_path))}
    assert list(charts) == ["Loss", "Loss of m1", "Loss of m2", "Selection", "Learning rate", "Norm of the gradient",
                            "Speed", "Waits for data"]
    assert [line.name for line in charts["Loss of m1"].lines] == ["class", "class, selection", "box", "box, selection"]
    train, select = charts["Loss"].lines
    assert train.value == pytest.approx(3 / 300) and select.value == 1.0
    assert len(train.x) == 100 and train.x[0] == 2.0, "300 rows are means of three"
    assert train.y[1] == pytest.approx(np.mean([3 / 4, 3 / 5, 3 / 6]), abs=1e-5)
    assert charts["Selection"].marks == [300.0] and charts["Selection"].y_ticks[-1] == 1.0
    assert charts["Learning rate"].lines[0].y[-1] == pytest.approx(1e-4)
    for chart in charts.values():
        assert all((line.y <= chart.y_ticks[-1]).all() and line.x[-1] <= chart.x_ticks[-1] for line in chart.lines)


def test_logs_of_older_trainings_and_damaged_rows_are_read(tmp_path):
    (tmp_path / "train.csv").write_text("step,loss,pnet_class,norm,rate\n10,0.5,0.5,1,1e-3\n20,nan,0.4,1,1e-3\n30,0.")
    assert read_table(tmp_path / "train.csv")["step"].tolist() == [10, 20]
    titles = [chart.title for chart in run_charts(read_logs(tmp_path))]
    assert titles == ["Loss", "Learning rate", "Norm of the gradient"]
    assert run_charts(read_logs(tmp_path / "nothing")) == [] and read_table(tmp_path / "none.csv") == {}
    (tmp_path / "speed.csv").write_text("")
    assert read_table(tmp_path / "speed.csv") == {}


@pytest.mark.parametrize("last", [1e-9, 3e-5, 0.07, 0.93, 1.0, 7, 99.5, 30000, 123456])
def test_ticks_are_few_and_reach_the_end(last):
    found = ticks(last)
    assert found[0] == 0 and last <= found[-1] * (1 + 1e-6) and found[-2] < last and 3 <= len(found) <= 7


def test_the_page_loads_nothing_and_escapes_names(tmp_path):
    pytest.importorskip("matplotlib", reason="curves.png needs matplotlib")
    trackers, _ = written(tmp_path)
    trackers.end("done")
    page = (tmp_path / "run.html").read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=["'](?!data:)|https?://|url\(|<script""", page)
    assert "made &lt;up&gt;" in page and "a &amp; b 300" in page and "a &amp; b 100" not in page
    assert "300 of 400" in page and "0.8000 at step 300" in page and page.count("<svg") > 8
    assert re.search(r"State</th><td>done", page) and "TRAIN.RATE</th><td>0.5" in page
    picture = cv2.imread(str(tmp_path / "curves.png"))
    assert picture is not None and picture.std() > 5
    assert not list(tmp_path.glob(".*part*"))


def test_drawing_takes_little_of_the_time(tmp_path, monkeypatch):
    drawn, now = [], [0.0]
    monkeypatch.setattr(run_page, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def slow(self, status):
        drawn.append((now[0], status))
        now[0] += 1.0

    monkeypatch.setattr(RunPage, "_write", slow)
    page = RunPage()
    page.start(Run("run", tmp_path, {}))
    for _ in range(300):
        page.scalars("select", {"AP": 0.5}, 1)
        now[0] += 1.0
    page.end("done")
    assert [status for _, status in drawn[:-1]] == ["running"] * (len(drawn) - 1) and drawn[-1][1] == "done"
    assert len(drawn) - 1 == pytest.approx(300 / 51, abs=1.5), "2 % of the time"


def test_without_matplotlib_the_page_is_drawn_and_a_line_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run_page.importlib.util, "find_spec", lambda name: None)
    trackers, _ = written(tmp_path, 10, (10,))
    trackers.end("done")
    assert (tmp_path / "run.html").exists() and not (tmp_path / "curves.png").exists()
    (line,) = capsys.readouterr().err.splitlines()
    assert "matplotlib is missing (pip install 'manyfaces[train]')" in line


def test_a_run_with_nothing_new_keeps_its_page(tmp_path):
    trackers, run = written(tmp_path, 10, (10,))
    before = (tmp_path / "run.html").read_bytes()
    again = Trackers([CsvLogs(), RunPage()])
    again.start(Run(run.name, run.folder, run.config, 10))
    again.end("done")
    assert (tmp_path / "run.html").read_bytes() == before


def test_the_pace_counts_the_steps_alone():
    now, loader = [100.0], SimpleNamespace(waited=7.0)
    pace = Pace(loader, 50.0, lambda: now[0])
    now[0] += 4
    loader.waited += 1
    pace.add(8)
    with pace.other_work():
        now[0] += 1000
    assert pace.row() == {"images_per_second": 2.0, "waits_percent": 25.0, "seconds": 1054.0}
    now[0] += 1
    assert pace.row() == {"images_per_second": 0.0, "waits_percent": 0.0, "seconds": 1055.0}


def test_a_sample_shows_what_is_found_and_missed():
    boxes = np.float32([[100, 100, 300, 300], [500, 500, 700, 700], [800, 100, 900, 200]])
    record = Record("r", "e/x.png", 1280, 960, boxes, np.full((3, 5, 2), np.nan, np.float32),
                    np.array([False, False, True]))
    detections = Detections(np.float32([[102, 100, 300, 300], [0, 0, 40, 40]]), np.float32([0.9, 0.1]))
    image = np.full((960, 1280, 3), 40, np.uint8)
    caption, picture = sample_picture(image, detections, record, 0.5)
    assert caption == "e/x: 1 of 2 faces found, 1 detections of score 0.5 or more"
    assert picture.shape == (480, 640, 3) and (image == 40).all()
    white = np.argwhere((picture == 255).all(2))
    assert white.min(0).tolist() == [250, 250] and white.max(0).tolist() == [350, 350], "the missed face only"


class Broken(Tracker):
    """Fails in one of its calls."""

    def __init__(self, call):
        def fail(*_):
            raise RuntimeError("no\nserver")

        setattr(self, call, fail)


@pytest.mark.parametrize("call", ["start", "scalars", "images", "artifact", "end"])
def test_a_tracker_that_fails_is_reported_once(tmp_path, capsys, call):
    recorded = []

    class Recorder(Tracker):
        def scalars(self, kind, values, step):
            recorded.append(step)

    trackers = Trackers([Broken(call), Recorder()])
    trackers.start(Run("run", tmp_path, {}))
    for step in (1, 2, 3):
        trackers.scalars("train", {"loss": 1.0}, step)
        trackers.images("train", {}, step)
        trackers.artifact(tmp_path)
    trackers.end("done")
    assert recorded == [1, 2, 3]
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (f"warning: Broken.{call} failed (RuntimeError: no server); the training continues without this "
                    f"tracker")


@pytest.mark.slow
def test_trackers_change_no_weight_and_a_training_draws_its_page(scenes):
    """One training with a tracker that records and one that fails, and one without; the same bits at the end."""
    calls = []

    class Recorder(Tracker):
        def start(self, run):
            calls.append(("start", run.step, run.config["TRAIN.STEPS"]))
            np.random.seed(1)

        def scalars(self, kind, values, step):
            calls.append((kind, step, sorted(values)[0]))
            np.random.rand(5)

        def images(self, kind, pictures, step):
            calls.append((f"images {kind}", step, len(pictures)))
            for picture in pictures.values():
                picture[:] = 0

        def artifact(self, path):
            assert path.exists()
            calls.append(("artifact", path.name, path.stat().st_size > 0))

        def end(self, status):
            calls.append(("end", status, True))

    weights = []
    settings = {"TRAIN__STEPS": 4, "TRAIN__SELECT": "scenes", "TRAIN__SELECT_EVERY": 2, "TRAIN__SELECT_IMAGES": 3,
                "TRAIN__IMAGES_EVERY": 3}
    for name, more in (("plain", []), ("tracked", [Broken("scalars"), Recorder()])):
        run = trainer(scenes, name, **settings)
        run.trackers.trackers += more
        run.run()
        weights.append(numbers(run.model.variables) + numbers(run.average.variables))
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)
    kinds = [call[:2] for call in calls if call[0] != "artifact"]
    assert kinds == [("start", 0), ("train", 2), ("speed", 2), ("images select", 2), ("select", 2),
                     ("images train", 3), ("train", 4), ("speed", 4), ("images select", 4), ("select", 4),
                     ("end", "done")]
    assert [call[2] for call in calls if call[0] == "images select"] == [3, 3]
    assert ("artifact", "checkpoint.npz", True) in calls and ("artifact", "best.weights.h5", True) in calls
    folder = scenes / "output/tracked"
    with open(folder / "speed.csv", newline="", encoding="utf-8") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["2", "4"]
    assert list(rows(folder / "train.csv")[0])[-2:] == ["norm", "rate"], "train.csv has what only the seed decides"
    page = (folder / "run.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == 3 and "Detections on selection images, step 4" in page


@pytest.mark.slow
def test_a_page_that_cannot_be_drawn_ends_nothing(scenes, monkeypatch, capsys):
    monkeypatch.setattr(run_page, "run_charts", lambda *_: 1 / 0)
    run = trainer(scenes, "undrawn", TRAIN__STEPS=2, TRAIN__SELECT="scenes", TRAIN__SELECT_EVERY=1,
                  TRAIN__SELECT_IMAGES=2)
    run.run()
    assert run.step == 2
    assert capsys.readouterr().err.count("RunPage.scalars failed (ZeroDivisionError") == 1
