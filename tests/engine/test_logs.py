"""The logs: rows and events as others read them, resumed, and on a disk that is full for a while."""

import csv
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from full_disk import room_for

from manyfaces.engine.tracking.logs import CsvLog, TensorBoard
from manyfaces.engine.tracking.tracker import Run


def table(path):
    """Rows of a CSV as lists of text."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


# ---------------------------------------------------------------------- CSV


@pytest.mark.parametrize("end", ["", "40,0.2", "\r\n", "x,1\r\n"])
def test_a_resumed_log_has_each_step_once(tmp_path, end):
    path = tmp_path / "run" / "train.csv"
    log = CsvLog(path)
    for step in (10, 20, 30):
        log.write(step, {"loss": 1 / step, "norm": step})
    with open(path, "a", newline="", encoding="utf-8") as file:
        file.write(end)  # what a machine may leave that lost its power
    CsvLog(path, 30)
    assert [row[0] for row in table(path)] == ["step", "10", "20", "30"]
    inode = path.stat().st_ino
    CsvLog(path, 20).write(21, {"loss": 7, "norm": 8})
    assert table(path) == [["step", "loss", "norm"], ["10", "0.1", "10"], ["20", "0.05", "20"], ["21", "7", "8"]]
    assert path.stat().st_ino == inode, "nothing is written again, which a full disk could not hold"
    CsvLog(path, 0).write(1, {"other": 5})
    assert table(path) == [["step", "other"], ["1", "5"]]


def test_rows_that_do_not_fit_are_left_out_with_one_warning(tmp_path, capsys):
    path = tmp_path / "train.csv"
    log = CsvLog(path)
    log.write(1, {"loss": 0.5})
    with room_for(path.stat().st_size + 2):
        for step in (2, 3):
            log.write(step, {"loss": 0.5})
        CsvLog(path, 1)
    log.write(4, {"loss": 0.5})
    assert [row[0] for row in table(path)] == ["step", "1", "4"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {path}: cannot be written (File too large); the training continues")


# -------------------------------------------------------------- TensorBoard


def events(folder):
    """Events of all files of a run, as TensorFlow reads them; it checks both checksums of each record."""
    import tensorflow as tf
    from tensorflow.core.util import event_pb2

    for path in sorted(folder.iterdir()):
        for data in tf.data.TFRecordDataset(str(path)):
            yield event_pb2.Event.FromString(data.numpy())


def started(folder, step=0):
    """A TensorBoard of a run in `folder` that continues from `step`."""
    board = TensorBoard()
    board.start(Run("run", folder, {}, step))
    return board


def scalars(folder):
    """(step, tag, value) of all events of a run."""
    return [(event.step, value.tag, value.simple_value) for event in events(folder) for value in event.summary.value
            if value.WhichOneof("value") == "simple_value"]


def test_tensorflow_reads_scalars_and_pictures(tmp_path):
    board, folder = started(tmp_path), tmp_path / "tensorboard"
    board.scalars("train", {"loss": np.float64(0.5), "norm": 3}, 7)
    board.scalars("train", {"loss": float("nan")}, 300)
    board.scalars("select", {"AP": 0.25}, 2**40)
    assert scalars(folder / "train")[:2] == [(7, "loss", 0.5), (7, "norm", 3.0)]
    assert np.isnan(scalars(folder / "train")[2][2]) and scalars(folder / "train")[2][:2] == (300, "loss")
    assert scalars(folder / "select") == [(2**40, "AP", 0.25)]
    first = next(events(folder / "train"))
    assert first.file_version == "brain.Event:2" and not first.HasField("session_log") and first.wall_time > 1.7e9

    images = np.random.default_rng(0).integers(0, 256, (4, 20, 30, 3), np.uint8)
    board.images("train", {f"detections/{i}": image for i, image in enumerate(images)}, 8)
    values = [value for event in events(folder / "train") for value in event.summary.value if value.HasField("image")]
    assert [value.tag for value in values] == [f"detections/{i}" for i in range(4)]
    for value, image in zip(values, images, strict=True):
        assert (value.image.height, value.image.width, value.image.colorspace) == (20, 30, 3)
        decoded = cv2.imdecode(np.frombuffer(value.image.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
        np.testing.assert_array_equal(decoded[..., ::-1], image)


def test_a_resumed_run_hides_the_events_after_its_checkpoint(tmp_path):
    folder = tmp_path / "tensorboard"
    started(tmp_path).scalars("train", {"loss": 1.0}, 9)
    board = started(tmp_path, 4)
    for step in (5, 6):
        board.scalars("train", {"loss": 2.0}, step)
    found = list(events(folder / "train"))
    assert [(event.step, event.session_log.status) for event in found if event.HasField("session_log")] == [(5, 1)]
    assert [event.file_version for event in found].count("brain.Event:2") == 2
    assert scalars(folder / "train") == [(9, "loss", 1.0), (5, "loss", 2.0), (6, "loss", 2.0)]


def test_events_that_do_not_fit_are_left_out_with_one_warning(tmp_path, capsys):
    board, folder = started(tmp_path), tmp_path / "tensorboard"
    board.scalars("train", {"loss": 1.0}, 1)
    (file,) = (folder / "train").iterdir()
    with room_for(file.stat().st_size + 5):
        for step in range(2, 60):
            board.scalars("train", {"loss": 1.0, "a": 2.0}, step)
    board.scalars("train", {"loss": 1.0}, 60)
    assert scalars(folder / "train") == [(1, "loss", 1.0), (60, "loss", 1.0)]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {file}: cannot be written (File too large); the training continues")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_progress_that_cannot_be_printed_ends_nothing(tmp_path):
    """stderr is a file on a full disk."""
    script = ("from manyfaces.engine.tracking.logs import CsvLog; from manyfaces.progress import Progress\n"
              "progress = Progress(3, 'steps', every=0)\n"
              "for _ in range(3): progress.advance(); progress.note('selection')\n"
              "CsvLog('/dev').write(1, {'loss': 1.0})\n"
              "print('done')")
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", script], stderr=full, stdout=subprocess.PIPE, text=True)
    assert done.stdout == "done\n"
