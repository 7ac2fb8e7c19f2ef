"""Waiting for a better selection: compared with Keras' callbacks, resumed at any step, and which images it uses."""

from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from tiny_training import rows, scenes_folder, tiny_config, trainer, write_scenes

from manyfaces.config import load_config
from manyfaces.datasets.roidb import load_roidb, save_roidb
from manyfaces.detections import Detections
from manyfaces.engine.checkpoint import read_facts
from manyfaces.engine.records import config_records
from manyfaces.engine.schedule import Patience, rate_at
from manyfaces.engine.select import Selection, whole_sample
from manyfaces.errors import InputError

scenes = pytest.fixture(scenes_folder, scope="module")
WAITING = {"TRAIN__SELECT": "scenes", "TRAIN__SELECT_EVERY": 2, "TRAIN__SCHEDULE": "plateau", "TRAIN__DECAY": 0.6,
           "TRAIN__PATIENCE": 2, "TRAIN__STOP_AFTER": 5, "TRAIN__STEPS": 40}


@pytest.mark.parametrize("seed", range(8))
def test_it_does_what_the_callbacks_of_keras_do(seed):
    """One selection per epoch, x0.6 after 5 and the end after 30 without a better one; values rise and stall."""
    rng = np.random.default_rng(seed)
    values = np.round(np.cumsum(rng.normal(0, 1, 200) * (rng.random(200) < 0.5)) * 0.02, 2)  # with ties
    words = ["TRAIN.SCHEDULE", "plateau", "TRAIN.DECAY", "0.6", "TRAIN.STOP_AFTER", "30", "TRAIN.SELECT", "x",
             "TRAIN.RATE", "0.5"]
    train = load_config(overrides=words).TRAIN
    patience = Patience(train)
    model = SimpleNamespace(optimizer=SimpleNamespace(learning_rate=0.5), stop_training=False)
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="iou", factor=0.6, patience=5, mode="max", min_delta=0)
    stopping = keras.callbacks.EarlyStopping(monitor="iou", patience=30, mode="max", min_delta=0)
    for callback in (plateau, stopping):
        callback.set_model(model)
        callback.on_train_begin()
    for epoch, value in enumerate(values):
        patience.look(float(epoch), float(value))
        stopping.on_epoch_end(epoch, {"iou": value})
        assert patience.over == model.stop_training
        if patience.over:
            break
        plateau.on_epoch_end(epoch, {"iou": value})
        assert rate_at(1000 + epoch, train, patience.lowered) == pytest.approx(float(model.optimizer.learning_rate))
    assert patience.lowered > 0


def test_it_needs_a_selection():
    for words, message in ((["TRAIN.SCHEDULE", "plateau"], "TRAIN.SCHEDULE plateau needs a selection, but"),
                           (["TRAIN.STOP_AFTER", "30"], "TRAIN.STOP_AFTER 30 needs a selection, but TRAIN")):
        with pytest.raises(InputError, match=message):
            Patience(load_config(overrides=words).TRAIN)


# ------------------------------------------------------------------- resume


def waiting(scenes, monkeypatch, name, rates, resume=False, strike=None):
    """A training whose selection is best at step 2; steps only record their rate. strike: function (run, step)."""
    run = trainer(scenes, name, resume=resume, **WAITING)
    monkeypatch.setattr(run.selection, "evaluate", lambda: {"AP": 0.5 if run.step == 2 else 0.4, "loss": 1.0})

    def step(images, targets, weights, momentum):
        rates[run.step] = float(run.optimizer.learning_rate.numpy())
        if strike:
            strike(run, run.step)
        return {"m1_class": np.ones(len(images), np.float32)}, 1.0

    run.train_step = step
    return run


@pytest.mark.slow
def test_a_resumed_training_waits_as_long_as_one_that_was_not_stopped(scenes, monkeypatch):
    """4 of 9 images per step: 2 epochs are 4.5 steps and 5 are 11.25, so step 8 lowers the rate and step 14 ends it."""
    whole, broken = {}, {}
    run = waiting(scenes, monkeypatch, "waiting", whole)
    assert run.run() == 0.5
    expected = [0.003] * 8 + [0.003 * 0.6] * 6
    np.testing.assert_allclose([whole[step] for step in range(14)], expected, rtol=1e-6)
    assert len(whole) == 14

    def stop(run, step):
        if step == 5:
            run.stop_signal = 15

    def die(run, step):
        if step == 11:
            raise KeyboardInterrupt

    with pytest.raises(SystemExit):
        waiting(scenes, monkeypatch, "waiting_2", broken, strike=stop).run()
    assert read_facts(scenes / "output/waiting_2/checkpoint.npz")["step"] == 6
    with pytest.raises(KeyboardInterrupt):
        waiting(scenes, monkeypatch, "waiting_2", broken, resume=True, strike=die).run()
    facts = read_facts(scenes / "output/waiting_2/checkpoint.npz")
    assert facts["step"] == 8 and facts["patience"]["lowered"] == 1 and not facts["patience"]["over"]
    again = waiting(scenes, monkeypatch, "waiting_2", broken, resume=True)
    assert again.step == 8 and again.run() == 0.5
    assert whole == broken
    facts = [read_facts(scenes / "output" / name / "checkpoint.npz") for name in ("waiting", "waiting_2")]
    for key in ("step", "best", "patience", "epochs"):
        assert facts[0][key] == facts[1][key], key
    steps = [int(row["step"]) for row in rows(scenes / "output/waiting_2/select.csv")]
    assert steps == [2, 4, 6, 8, 10, 12, 14]

    def never(run, step):
        raise AssertionError("it has ended")

    over = waiting(scenes, monkeypatch, "waiting_2", broken, resume=True, strike=never)
    assert over.run() == 0.5 and over.step == 14


# ------------------------------------------------------------------ records


def test_images_with_many_faces_are_left_out_and_counted(scenes, capsys):
    write_scenes(scenes, "crowds", count=4)
    path = scenes / "data/pickles/crowds.pkl"
    roidb = load_roidb(path)
    for record, count in zip(roidb.records, (2, 3, 4, 4), strict=True):
        record.boxes, record.landmarks = np.repeat(record.boxes, count, 0), np.repeat(record.landmarks, count, 0)
        record.ignore = np.arange(count) >= 3  # the fourth face of the third image does not count
    roidb.records[3].ignore[:] = False
    save_roidb(roidb, path)
    cfg = tiny_config(scenes, TRAIN__MAX_FACES=3)
    records, weights = config_records(cfg, "crowds+scenes", [2.0, 1.0])
    assert [len(record.boxes) for record in records] == [2, 3, 4] + [1] * 9 and weights == [2.0] * 3 + [1.0] * 9
    assert "crowds+scenes: 1 of 13 images have more than 3 faces and are left out" in capsys.readouterr().out
    assert len(config_records(tiny_config(scenes), "crowds")[0]) == 4 and capsys.readouterr().out == ""
    with pytest.raises(InputError, match="crowds: every image has more than 1 faces; raise TRAIN.MAX_FACES"):
        config_records(tiny_config(scenes, TRAIN__MAX_FACES=1), "crowds")
    # sqrt of 2, 3, 3 and 4 faces, and of the single face of the scenes; doubled by the weight of the source.
    _, weights = config_records(tiny_config(scenes, TRAIN__CROWDS=0.5), "crowds+scenes", [2.0, 1.0])
    np.testing.assert_allclose(weights, [2 * 2**0.5, 2 * 3**0.5, 2 * 3**0.5, 4.0] + [1.0] * 9)


def test_a_set_without_a_face_that_counts_is_refused(scenes):
    write_scenes(scenes, "nobody", count=3)
    path = scenes / "data/pickles/nobody.pkl"
    roidb = load_roidb(path)
    for record in roidb.records:
        record.ignore[:] = True
    save_roidb(roidb, path)
    cfg = tiny_config(scenes, TRAIN__DATASETS="nobody")
    with pytest.raises(InputError, match="TRAIN.DATASETS 'nobody': none of 3 images has a face that counts"):
        config_records(cfg, cfg.TRAIN.DATASETS)
    for key in ("TRAIN.SELECT", "MTCNN.LANDMARKS"):
        with pytest.raises(InputError, match=f"{key} 'nobody': none of 3 images has a face that counts"):
            config_records(tiny_config(scenes, **{key.replace(".", "__"): "scenes+nobody"}), "nobody")
    assert len(config_records(cfg, "nobody+scenes")[0]) == 12  # some are enough


def test_selection_images_that_cannot_be_read_are_left_out_at_the_start(scenes, capsys):
    records = write_scenes(scenes, "torn", count=5)
    Path(records[1].path).unlink()
    content = Path(records[3].path).read_bytes()
    Path(records[3].path).write_bytes(content[:200])  # its header is whole: only decoding shows it
    cfg = tiny_config(scenes, TRAIN__SELECT="torn")
    nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    net = SimpleNamespace(cfg=cfg, detect=lambda image, scales, flip, threshold: nothing)
    selection = Selection(cfg, SimpleNamespace(measures=(), encode=dict), net)
    left = "left out of TRAIN.SELECT 'torn'\n"
    assert [record.image for record in selection.sets["torn"]] == ["0.png", "2.png", "3.png", "4.png"]
    assert capsys.readouterr().err == f"warning: {records[1].path}: no such file; {left}"
    assert len(selection._detections("torn")) == len(selection.sets["torn"]) == 3
    assert "3.png: cut short" in (err := capsys.readouterr().err) and err.endswith(left)
    assert len(selection._detections("torn")) == 3 and capsys.readouterr().err == ""
    for record in records:
        Path(record.path).unlink(missing_ok=True)
    with pytest.raises(InputError, match="TRAIN.SELECT 'torn': none of its 5 images can be read"):
        Selection(cfg, SimpleNamespace(measures=(), encode=dict), net)


def test_rare_events_count_as_much_as_common_ones(scenes):
    write_scenes(scenes, "events", count=5)
    path = scenes / "data/pickles/events.pkl"
    roidb = load_roidb(path)
    for record, event in zip(roidb.records, ("0--Parade/", "0--Parade/", "0--Parade/", "0--Parade/", "47--Matador/"),
                             strict=True):
        record.image = event + record.image
    save_roidb(roidb, path)
    _, weights = config_records(tiny_config(scenes, TRAIN__EVENTS=1.0), "events")
    np.testing.assert_allclose(weights, [2.5 / 4] * 4 + [2.5])  # 5 images an epoch, half of them of each event
    _, weights = config_records(tiny_config(scenes, TRAIN__EVENTS=0.5), "events", [3.0])
    np.testing.assert_allclose(weights, [15 / 6] * 4 + [15 / 3])  # 2 to 1 per image, 4 to 2 per event


def test_whole_images_as_samples(scenes):
    record = load_roidb(scenes / "data/pickles/scenes.pkl").records[0]
    kept, squeezed = whole_sample(record, []), whole_sample(record, [60, 200])
    assert kept["image"].shape == (100, 120, 3) and squeezed["image"].shape == (200, 60, 3)
    np.testing.assert_array_equal(kept["boxes"], record.boxes)
    np.testing.assert_allclose(squeezed["boxes"], record.boxes * [0.5, 2, 0.5, 2])
    np.testing.assert_allclose(squeezed["landmarks"], record.landmarks * [0.5, 2])
    x1, y1, x2, y2 = squeezed["boxes"][0].astype(int)
    assert squeezed["image"][y1 + 3 : y2 - 3, x1 + 3 : x2 - 3].min() > 200  # the bright square is where its box is


def test_an_unknown_measure_is_named(scenes):
    with pytest.raises(InputError, match="TRAIN.SELECT_BY is 'iou', expected AP for ssh"):
        trainer(scenes, "unknown", TRAIN__SELECT="scenes", TRAIN__SELECT_BY="iou")


@pytest.mark.parametrize("scales, used", [("[1.5]", [1.5]), ("[1.0]", [1.0]), ("[0.5, 1]", [1.0]), ("[1200]", [1.0])])
def test_selection_scores_images_at_the_factor_of_the_test_but_not_a_pyramid(scenes, scales, used):
    cfg, seen = tiny_config(scenes, TRAIN__SELECT="scenes", TEST__SCALES=scales), []
    nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    net = SimpleNamespace(cfg=cfg, detect=lambda image, scales, flip, threshold: (seen.append(scales), nothing)[1])
    Selection(cfg, SimpleNamespace(measures=(), encode=dict), net)._detections("scenes")
    assert seen == [used] * 9
