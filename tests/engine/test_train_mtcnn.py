"""A stage of MTCNN trains from its samples: exact resume, selection by hand, mining with the earlier stages."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from manyfaces.config import load_config
from manyfaces.data_layer.mtcnn.folder import SampleFolder
from manyfaces.data_layer.mtcnn.tfrecords import KINDS
from manyfaces.datasets import read_image
from manyfaces.datasets.readers import READERS
from manyfaces.datasets.roidb import save_roidb
from manyfaces.engine.mining import miner, weights_of
from manyfaces.engine.stage_selection import stage_measures
from manyfaces.errors import InputError

CONFIGS = Path(__file__).resolve().parents[2] / "cfgs"
SETTINGS = {"TRAIN.DATASETS": "toy", "TRAIN.SELECT": "toy", "MTCNN.LANDMARKS": "toy", "MTCNN.SELECT_LANDMARKS": "toy",
            "MTCNN.COUNTS": "[60, 60, 60, 180]", "TRAIN.BATCH": 96, "TRAIN.EPOCHS": 2, "TRAIN.SELECT_EVERY": 1,
            "TRAIN.SAVE_EVERY": 1, "TRAIN.LOG_EVERY": 1, "TRAIN.DETERMINISTIC": True}


@pytest.fixture(scope="module")
def folder(toy, tmp_path_factory):
    """A folder with the roidb `toy` and P-Net's samples of it."""
    folder = tmp_path_factory.mktemp("mtcnn")
    save_roidb(READERS["retinaface"](toy["retinaface"], toy["images"]), folder / "data/pickles/toy.pkl")
    return folder


def words(folder, **changes):
    values = {**SETTINGS, "DATA_DIR": folder / "data", "OUTPUT_DIR": folder / "output",
              **{key.replace("__", "."): value for key, value in changes.items()}}
    return [str(word) for pair in values.items() for word in pair]


def config(folder, stage="pnet", **changes):
    return load_config(CONFIGS / f"mtcnn_{stage}.yml", words(folder, **changes))


@pytest.fixture(scope="module")
def samples(folder, tool):
    """P-Net's samples, made by the tool."""
    tool("mtcnn_samples").main(["--stage", "pnet", "--set", *words(folder)])
    return SampleFolder(folder / "output/samples/pnet")


def variables(trainer):
    return [v.numpy() for group in trainer._groups().values() for v in group]


@pytest.mark.slow
def test_a_resumed_training_reaches_the_same_weights(folder, samples, capsys):
    from manyfaces.engine.train import Trainer

    size = sum(samples.counts("train").values())
    whole = Trainer(config(folder, NAME="whole_pnet", MTCNN__SAMPLES=samples.path))
    assert whole.train.STEPS == -(-2 * size // 96) and whole.train.SAVE_EVERY == -(-size // 96)
    assert whole.run() > 0
    log = (folder / "output/whole_pnet/select.csv").read_text().splitlines()
    assert len(log) == 3 and log[0].startswith("step,quality,AP,accuracy,recall,passed,iou,iou_gain,landmark_error")

    broken = Trainer(config(folder, NAME="broken_pnet", MTCNN__SAMPLES=samples.path))
    one_step = broken.train_step

    def struck(*arguments):
        if broken.step + 1 == broken.train.SAVE_EVERY + 1:
            raise RuntimeError("killed behind the first epoch")
        return one_step(*arguments)

    broken.train_step = struck
    with pytest.raises(RuntimeError):
        broken.run()
    resumed = Trainer(config(folder, NAME="broken_pnet", MTCNN__SAMPLES=samples.path), resume=True)
    assert resumed.step == whole.train.SAVE_EVERY, "a checkpoint an epoch"
    resumed.run()
    for a, b in zip(variables(whole), variables(resumed), strict=True):
        np.testing.assert_array_equal(a, b)


def test_mining_runs_the_earlier_stages(folder, samples, tool, toy, capsys, monkeypatch):
    from manyfaces.nets import family
    from manyfaces.weights.files import save_weights

    cfg = config(folder, "rnet")
    with pytest.raises(InputError, match=r"mtcnn_pnet/best\.weights\.h5: no such weights; train pnet before"):
        miner(cfg)
    assert miner(config(folder)) == (None, "")
    with pytest.raises(InputError, match=r"NAME 'x' does not contain 'onet'.*name its weights as MTCNN\.PNET"):
        weights_of(config(folder, "onet", NAME="x"), "pnet")
    own = config(folder)
    model = family(own).build()
    kernel, bias = model.get_layer("scores").get_weights()
    model.get_layer("scores").set_weights([kernel * 0, np.float32([0, 1])])  # a face everywhere: score .73
    save_weights(model, weights_of(cfg, "pnet"), own)
    propose, marks = miner(cfg)
    assert marks.startswith("pnet ")
    images = [read_image(sorted(Path(toy["images"]).rglob("*.jpg"))[0])]
    (squares,) = propose(images)
    assert squares.shape[1] == 4 and len(squares) > 50 and (squares == np.rint(squares)).all()
    with monkeypatch.context() as patch:  # without another runtime Keras finds the same
        patch.setattr("manyfaces.engine.mining.installed", list)
        np.testing.assert_allclose(squares, miner(cfg)[0](images)[0], atol=1)
    strict = config(folder, "rnet", MTCNN__MINE_THRESHOLDS="[0.8, 0.7]")
    assert not len(miner(strict)[0]([np.zeros((60, 80, 3), np.uint8)])[0])

    tool("mtcnn_samples").main(["--stage", "rnet", "--set", *words(folder)])
    said = capsys.readouterr().out
    assert "the cascade so far finds" in said and "of processor time), peak memory" in said
    mined = SampleFolder(folder / "output/samples/rnet")
    assert mined.settings["weights"] == marks and mined.settings["side"] == 24
    assert mined.counts("train")["negative"] > 100


def test_measures_of_a_stage_by_hand():
    """Two faces, one part face, three backgrounds and a landmark crop."""
    kinds = ["positive", "positive", "part", "negative", "negative", "negative", "landmark"]
    score = np.float64([0.9, 0.4, 0.5, 0.7, 0.2, 0.1, 0.5])
    box = np.zeros((7, 4))
    box[0], box[2] = [0, 0, 0, -0.5], [0.5, 0, 0, 0]  # half of the crop, its upper and its right half
    points = np.float64([.2, .3, .6, .3, .4, .5, .25, .7, .55, .7])
    landmarks = np.zeros((7, 10))
    landmarks[6] = points
    found = np.zeros((7, 4))
    found[0], found[2] = box[0], [0.25, 0, 0, 0]
    outputs = {"scores": np.stack([np.zeros(7), np.log(score / (1 - score))], axis=1), "boxes": found,
               "landmarks": landmarks + [.03, .04] * 5}
    result = stage_measures({"label": np.int32([KINDS[kind] for kind in kinds]), "box": box, "landmarks": landmarks},
                            outputs, 0.6)
    # Ranks of the faces: first and third of five. Recall 1/2 at precision 1, then 1 at 2/3.
    assert result["AP"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert result["accuracy"] == pytest.approx(3 / 5) and result["recall"] == 0.5
    assert result["passed"] == pytest.approx(1 / 3)
    # IoU before: .5, 1, .5; after: 1, 1, .5 / .75.
    assert result["iou"] == pytest.approx((1 + 1 + 2 / 3) / 3)
    assert result["iou_gain"] == pytest.approx((1 + 1 + 2 / 3) / 3 - 2 / 3)
    assert result["landmark_error"] == pytest.approx(0.05 / 0.4)
    assert result["quality"] == pytest.approx(result["AP"] + result["iou"] + 1 - 0.125)


def test_selection_by_an_unknown_measure_is_refused(folder, samples):
    from manyfaces.engine.train import Trainer

    with pytest.raises(InputError, match=r"TRAIN\.SELECT_BY is 'mAP', expected one of quality, AP, accuracy"):
        Trainer(config(folder, NAME="by_map_pnet", MTCNN__SAMPLES=samples.path, TRAIN__SELECT_BY="mAP"))
    with pytest.raises(InputError, match=r"none: no samples there; make them with `manyfaces data samples`"):
        Trainer(config(folder, NAME="no_pnet", MTCNN__SAMPLES=folder / "none"))


def script(folder, *arguments):
    """The commands that train_mtcnn.sh would run: `echo` replaces Python."""
    root = CONFIGS.parent
    done = subprocess.run([root / "experiments/scripts/train_mtcnn.sh", *arguments], capture_output=True, text=True,
                          env={**os.environ, "PYTHON": "echo", "OUTPUT": str(folder), "DATA_DIR": str(folder)})
    return done.returncode, [line for line in done.stdout.splitlines() if not line.startswith("==")], done.stderr


def test_the_script_goes_through_all_stages_and_resumes_what_has_begun(tmp_path):
    code, lines, error = script(tmp_path, "cpu", "mine", "TRAIN.BATCH", "96")
    assert code == 0, error
    assert [line.split()[:5] for line in lines[:2]] == [
        ["tools/mtcnn_samples.py", "--stage", "pnet", "--cfg", "cfgs/mtcnn_pnet.yml"],
        ["tools/train.py", "--cfg", "cfgs/mtcnn_pnet.yml", "--set", "DATA_DIR"]]
    assert [line.split()[0] for line in lines] == ["tools/mtcnn_samples.py", "tools/train.py"] * 3 + ["tools/export.py"]
    out = f"OUTPUT_DIR {tmp_path}/mtcnn_mine"
    assert all("TRAIN.DATASETS mine_train TRAIN.SELECT mine_select MTCNN.LANDMARKS mine_train" in line and out in line
               and line.endswith("TRAIN.BATCH 96") for line in lines[:6])
    assert f"--weights {tmp_path}/mtcnn_mine --out {tmp_path}/mtcnn_mine/mtcnn --set" in lines[6]

    (tmp_path / "pickles").mkdir()
    (tmp_path / "pickles/landmarks_train.pkl").touch()
    (tmp_path / "mtcnn_mine/mtcnn_rnet").mkdir(parents=True)
    (tmp_path / "mtcnn_mine/mtcnn_rnet/config.yml").touch()
    _, lines, _ = script(tmp_path, "cpu", "mine")
    assert ["--resume" in line for line in lines] == [False, False, False, True, False, False, False]
    assert all("MTCNN.LANDMARKS landmarks_train+mine_train MTCNN.SELECT_LANDMARKS mine_select" in line
               for line in lines[:6])
    _, lines, _ = script(tmp_path, "cpu")
    assert not any("MTCNN.LANDMARKS" in line for line in lines[:6]), "the config's own data"
    assert "MTCNN.LANDMARKS landmarks_train+wider_train" in lines[6], "which the licence is told from"
    code, _, error = script(tmp_path, "gpu")
    assert code == 2 and "GPU_ID is 'gpu'" in error
