"""Scores of small anchors: adjustments by hand, a choice that is known, and the same detections by adjusted weights."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from small_ssh import DENSE, SMALL, small_net, ssh
from tiny_training import rows, scenes_folder, tiny_config, trainer

from manyfaces.commands.models.adjust import main
from manyfaces.config import load_config
from manyfaces.datasets.roidb import Record
from manyfaces.engine.search.adjust import Adjustment, adjust, try_adjustments
from manyfaces.engine.select import Selection
from manyfaces.errors import InputError
from manyfaces.inference.detector import Detector
from manyfaces.inference.tiles import tiles_of
from manyfaces.nets import backend, family
from manyfaces.nets.anchored import Module, anchors_at

scenes = pytest.fixture(scope="module")(scenes_folder)


def test_adjustments_by_hand():
    pairs = Module("templates", 8, ((8.0, 32.0), (40.0, 90.0)))  # 16 px, and 60 px
    assert Adjustment(64, 0.25).of(pairs) == pytest.approx([-0.5, -0.25 * np.log2(64 / 60)])
    assert Adjustment(20, 0.4).of(Module("m2", 16, (32, 64))).tolist() == [0, 0]
    assert not Adjustment(80, 0.0).of(pairs).any()


@pytest.fixture
def two_boxes(tmp_path):
    """(family, run, record): a face of 136 px with the logit 1.5, and a box of 10 px with 2.0 where there is none."""
    net = ssh(*DENSE)
    levels = {module.name: module.level(320, 320) for module in net.modules}
    calls = []

    def run(images):
        calls.append(images.shape)
        maps = {}
        for module in net.modules:
            height, width = levels[module.name][:2]
            for kind, channels in (("scores", 1), ("boxes", 4), ("landmarks", 10)):
                maps[f"{module.name}_{kind}"] = np.full((1, height, width, channels * module.anchors), 0.0, np.float32)
            maps[f"{module.name}_scores"] -= 9
        maps["m1_scores"][0, 30, 30, 0], maps["m3_scores"][0, 4, 4, 0] = 2.0, 1.5
        return maps

    rows_of_m3, columns = levels["m3"][:2]
    face = anchors_at(np.array([(4 * columns + 4) * 3]), levels["m3"])
    assert rows_of_m3 == columns == 10 and face[0, 2] - face[0, 0] == 136
    assert cv2.imwrite(str(tmp_path / "x.png"), np.zeros((320, 320, 3), np.uint8))
    record = Record(str(tmp_path), "x.png", 320, 320, face, np.full((1, 5, 2), np.nan, np.float32), np.zeros(1, bool))
    return net, run, record, calls


def selection(net, run, *records):
    """A Selection of one set, `one`."""
    made = Selection(net.cfg, net, Detector(net, run, net.cfg))
    made.sets = {"one": list(records)}
    return made


def test_an_image_that_cannot_be_read_is_named_and_left_out(two_boxes, tmp_path, capsys):
    net, run, record, _ = two_boxes
    (tmp_path / "y.png").write_bytes(b"no picture")
    plain = try_adjustments(selection(net, run, replace(record, image="y.png"), record), (0.0,))[0]
    assert plain.mean == pytest.approx(0.5, abs=1e-3) and "y.png" in capsys.readouterr().err


def test_the_table_is_that_of_a_case_by_hand(two_boxes):
    net, run, record, calls = two_boxes
    done = []
    table = try_adjustments(selection(net, run, record), (0.0, 50.0), lambda: done.append(1))
    assert len(calls) == len(done) == 1  # all adjustments are tried on the same maps
    assert table[0].adjustment.slope == 0 and table[0].by_height() == pytest.approx([0.5, 0.5], abs=1e-3)
    for row in table:  # the box of 10 px stands behind the face when its logit falls by more than a half
        lowered = -row.adjustment.of(net.modules[0])[0]
        if abs(lowered - 0.5) > 1e-6:
            assert row.mean == pytest.approx(1.0 if lowered > 0.5 else 0.5, abs=1e-3), row.adjustment
    assert {row.by_set()["one"] == row.mean for row in table} == {True}


def test_tiles_of_the_same_shape_have_maps_of_their_own(two_boxes):
    net, run, record, calls = two_boxes
    net.cfg.TEST.MAX_PIXELS, net.cfg.TEST.TILE_OVERLAP = 200 * 200, 32
    _, columns, rows_of_tiles = tiles_of(320, 320, net.cfg.TEST.MAX_PIXELS, net.cfg.TEST.TILE_OVERLAP, net.multiple)

    def run_of_tiles(images):
        height, width = images.shape[1:3]
        maps = run(images)  # of the whole image
        return {name: values[:, : height * values.shape[1] // 320, : width * values.shape[2] // 320]
                for name, values in maps.items()}

    try_adjustments(selection(net, run_of_tiles, record), (0.0,))
    assert len(calls) == len(columns) * len(rows_of_tiles) == 4 and len(set(calls)) == 1


def test_adjusted_weights_give_what_adjusted_maps_give():
    net, way = ssh(*DENSE, *SMALL), Adjustment(40, 0.5)
    model = net.build()
    model.set_weights(small_net(*DENSE).get_weights())
    images = np.random.default_rng(0).integers(0, 255, (1, 96, 128, 3), np.uint8)
    before = backend.runner(model)(images)
    adjust(model, net, way)
    after = backend.runner(model)(images)
    for name in before:
        module = next(module for module in net.modules if name.startswith(module.name))
        added = way.of(module) if name.endswith("scores") else 0.0
        np.testing.assert_allclose(after[name], before[name] + added, atol=1e-5)
    assert np.ptp(np.asarray(after["m1_scores"]) - np.asarray(before["m1_scores"])) > 0.3


def test_a_family_without_anchors_is_refused():
    net = family(load_config("cfgs/grid_mobilenet_v2_075.yml", ["TRAIN.SELECT", ""]))
    with pytest.raises(InputError, match="family grid, which has no anchors"):
        try_adjustments(selection(net, lambda images: {}), (0.0,))


# -------------------------------------------------------------- the command


def test_the_command_writes_the_best_weights(scenes, capsys):
    trainer(scenes, "whole", TRAIN__SELECT="scenes", TRAIN__SELECT_EVERY=7).run()
    folder = scenes / "output" / "whole"
    capsys.readouterr()
    main(["--run", str(folder), "--heights", "0,20"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == "knee px" and "from 20 px" in lines[0] and lines[0].endswith("scenes")
    first = lines[1].split()
    selected = [float(row["AP"]) for row in rows(folder / "select.csv")]
    assert float(first[3]) == pytest.approx(max(selected), abs=5e-5)  # from 0 px: the AP of the training
    table = [line.split() for line in lines[1:-1]]
    knee, slope, best, *_ = max(table, key=lambda row: float(row[2]))  # the first of equals
    assert lines[-1].startswith(f"{folder / 'adjusted.weights.h5'}: ")
    assert ("as trained" if slope == "0" else f": mean AP {best} instead of") in lines[-1]
    net = family(tiny_config(scenes, NAME="whole"))
    before, after = net.build(), net.build()
    before.load_weights(folder / "best.weights.h5")
    after.load_weights(folder / "adjusted.weights.h5")
    adjust(before, net, Adjustment(float(knee), float(slope)))
    for one, other in zip(before.get_weights(), after.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    with pytest.raises(InputError, match="TRAIN.SELECT is empty"):
        main(["--run", str(folder), "--set", "TRAIN.SELECT", ""])
    for text, message in (("a", "expected px such as"), ("-3", "--heights")):
        with pytest.raises(InputError, match=message):
            main(["--run", str(folder), "--heights", text])
    with pytest.raises(InputError, match="config.yml: no such file"):
        main(["--run", str(scenes)])
