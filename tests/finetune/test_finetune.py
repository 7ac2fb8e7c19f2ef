"""A shipped model learns from own photographs: what is refused, chosen, written and resumed."""

import base64
import contextlib
import io
import json
import re
import subprocess
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from label_files import image, text
from tiny_training import SETTINGS, three_convolutions

from manyfaces import pretrained
from manyfaces.commands.command_line import run
from manyfaces.config import load_config, save_config
from manyfaces.datasets.roidb import Record, Roidb
from manyfaces.detections import Detections
from manyfaces.finetune import page, photos, preset, sheets, tune
from manyfaces.finetune.blend import blended, choose_fraction
from manyfaces.finetune.judge import Judgement, judge
from manyfaces.finetune.scale import choose_scale

SIZE = (120, 100)  # width and height of a photograph, px


def write_photographs(folder, count=14, seed=0):
    """Bright squares on noise, with labels in YOLO's format; returns the two folders."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        picture = rng.integers(0, 120, (SIZE[1], SIZE[0], 3), np.uint8)
        side = int(rng.integers(20, 60))
        x, y = int(rng.integers(0, SIZE[0] - side)), int(rng.integers(0, SIZE[1] - side))
        picture[y : y + side, x : x + side] = 230
        (folder / "photos").mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(folder / "photos" / f"p{i}.png"), picture)
        row = (x + side / 2) / SIZE[0], (y + side / 2) / SIZE[1], side / SIZE[0], side / SIZE[1]
        text(folder / "labels" / f"p{i}.txt", "0 " + " ".join(f"{value:.6f}" for value in row) + "\n")
    return folder / "photos", folder / "labels"


def record(boxes, ignore=None, size=SIZE, name="a.png", root=""):
    boxes = np.float32(boxes).reshape(-1, 4)
    return Record(str(root), name, *size, boxes, np.full((len(boxes), 5, 2), np.nan, np.float32),
                  np.zeros(len(boxes), bool) if ignore is None else np.array(ignore, bool))


class Known:
    """A detector that finds given boxes, by the mean of the image."""

    def __init__(self, found, **test):
        self.found, self.cfg, self.seen = found, load_config(overrides=[w for p in test.items() for w in p]), []

    def detect(self, image, scales=None, flip=None, **_):
        self.seen.append(scales)
        boxes, scores = self.found(image, scales[0])
        return Detections(np.float32(boxes).reshape(-1, 4), np.float32(scores))


# ------------------------------------------------------------ what is refused, before Keras is imported


def test_bad_input_is_an_error_before_keras_is_imported(tmp_path):
    photographs, labels = write_photographs(tmp_path, 3)
    (tmp_path / "empty").mkdir()
    image(tmp_path / "one" / "p0.png", *SIZE)
    image(tmp_path / "others" / "x.png", *SIZE)
    text(tmp_path / "none" / "p0.txt", "")
    text(tmp_path / "small.json", json.dumps({
        "images": [{"id": i, "file_name": f"p{i}.png"} for i in (0, 1, 2)], "categories": [{"id": 1, "name": "face"}],
        "annotations": [{"id": i, "image_id": i, "category_id": 1, "bbox": [9, 9, 4, 5]} for i in (0, 1, 2)]}))
    wrong = {
        (): "expected PHOTOS ANNOTATIONS",
        (photographs,): "expected PHOTOS ANNOTATIONS",
        (tmp_path / "empty", labels): "empty: holds no image",
        (tmp_path / "absent", labels): "no such folder of images",
        (photographs, tmp_path / "empty"): "no annotation was recognised among no files",
        (tmp_path / "others", labels): "are missing",
        (tmp_path / "one", labels): "are missing",
        (tmp_path / "one", labels, "--missing", "skip"): "1 of 1 images have a face that counts",
        (photographs, tmp_path / "none", "--format", "yolo"): "0 of 3 images have a face that counts",
        (photographs, tmp_path / "small.json"): "the highest of 3 faces has 5.0 px",
        (photographs, labels, "--model", "mtcnn"): "a cascade is trained stage by stage",
        (photographs, labels, "--model", "nobody"): "no weights ship for nobody",
        (photographs, labels, "--split", "1"): "--split is 1.0",
        (photographs, labels, "--minutes", "0"): "--minutes is 0.0",
        (photographs, labels, "--resume"): "no training to resume there",
        (photographs, labels, "--set", "TRAIN.STEP", "9"): "TRAIN.STEP",
        (photographs, labels, "--set", "NAME", "x"): "--set NAME: --out chooses",
        (photographs, labels, "--devices", "2"): "are for a config",
        (photographs, labels, "--cfg", "x.yml"): "leave",
        ("--cfg", "x.yml", "--minutes", "3"): "--minutes is for own photographs",
    }
    program = ("import contextlib, io, json, sys\nfrom manyfaces.commands.command_line import run\n"
               "from manyfaces.commands.train import main\nresults = []\n"
               "for words in json.loads(sys.argv[1]):\n"
               "    with contextlib.redirect_stderr(io.StringIO()) as err, contextlib.redirect_stdout(io.StringIO()):\n"
               "        code = run(main, words)\n    results.append([code, err.getvalue()])\n"
               "print(json.dumps([results, 'keras' in sys.modules or 'tensorflow' in sys.modules]))")
    words = [list(map(str, arguments)) for arguments in wrong]
    done = subprocess.run([sys.executable, "-c", program, json.dumps(words)], cwd=tmp_path, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    results, keras = json.loads(done.stdout)
    for arguments, (code, err), message in zip(wrong, results, wrong.values(), strict=True):
        assert code == 2 and message in err and err.startswith("error: "), (arguments, err)
    assert not keras


# ------------------------------------------------------------ what is chosen


def test_the_smallest_change_that_is_as_good_is_taken():
    scores = {0.25: 0.70, 0.5: 0.798, 0.75: 0.80, 1.0: 0.79}
    fraction, seen = choose_fraction(scores.__getitem__)
    assert fraction == 0.5 and seen == scores
    assert choose_fraction(lambda fraction: fraction)[0] == 1.0
    first, last = [np.float32([1, 2])], [np.float32([3, 6])]
    np.testing.assert_array_equal(blended(first, last, 0.25)[0], np.float32([1.5, 3]))
    np.testing.assert_array_equal(blended(first, last, 1.0)[0], last[0])


def test_photographs_are_enlarged_only_where_that_pays(tmp_path):
    records = []
    for i in range(4):
        image(tmp_path / f"{i}.png", *SIZE)
        records.append(record([[10, 10, 30, 34]], name=f"{i}.png", root=tmp_path))

    def found_from(least):
        return lambda image, scale: ([[10, 10, 30, 34]], [0.9]) if scale >= least else ([], [])

    assert choose_scale(Known(found_from(1.5)), records) == (1.5, {1.0: 0.0, 1.5: 1.0, 2.0: 1.0})
    assert choose_scale(Known(found_from(0)), records)[0] == 1.0
    (tmp_path / "cut.png").write_bytes((tmp_path / "0.png").read_bytes()[:60])
    cut = record([[10, 10, 30, 34]], name="cut.png", root=tmp_path)
    assert choose_scale(Known(found_from(1.5)), [*records, cut]) == (1.5, {1.0: 0.0, 1.5: 1.0, 2.0: 1.0})
    for scales, aps in (([1.0], {"net as it ships": 0}),
                        ([1.5], {"net as it ships": 0, "net at 1.5 times the size": 1})):
        rows = tune._as_it_ships("net", Known(found_from(1.5)), records, 0.5, scales)
        assert {name: row.ap for name, row in rows.items()} == aps
    fixed = Known(found_from(2), **{"TEST.SIZE": [64, 64]})
    assert choose_scale(fixed, records) == (1.0, {}) and not fixed.seen
    for large in records:
        large.width, large.height = 4000, 3000
    assert choose_scale(Known(found_from(2)), records) == (1.0, {})


def test_the_preset_follows_the_sizes_of_the_faces_and_the_budget():
    small = preset.crops([record([[0, 0, 20, 24]])])
    large = preset.crops([record([[0, 0, 400, 500]], size=(2000, 1500))])
    assert small["AUGMENT.SIZE"] == 320 and large["AUGMENT.SIZE"] == 640
    assert 400 * large["AUGMENT.SCALES"][0] < 640  # a large face is whole in some crop
    assert preset.crops([record([[0, 0, 20, 24]])], 1.5)["AUGMENT.SCALES"][1] == 1.5 * small["AUGMENT.SCALES"][1]
    cfg = load_config(pretrained.FOLDER / "ssh_mobilenet_v1_025.yml")
    load_config(overrides=preset.overrides([record([[0, 0, 20, 24]])], cfg))  # all keys exist and are allowed
    assert preset.wanted_steps(90, 16) == preset.LEAST < preset.wanted_steps(900, 16)
    assert preset.affordable(1000, 0.1, 60) == 1000
    assert preset.affordable(1000, 6.0, 10) * 6.0 <= 10 * 60
    for steps in (4, 90, 1000, 100_000):
        cfg = load_config(overrides=preset.lengths(steps))
        assert cfg.TRAIN.WARMUP < steps and cfg.TRAIN.SELECT_EVERY * preset.SELECTIONS >= steps and cfg.TRAIN.EMA > 0


# ------------------------------------------------------------ what is judged and drawn


def test_found_missed_and_false_faces_are_told_apart(tmp_path):
    image(tmp_path / "a.png", *SIZE)
    faces = record([[10, 10, 30, 30], [60, 10, 90, 40], [40, 60, 60, 80], [80, 70, 100, 90]],
                   [False, False, False, True], root=tmp_path)
    boxes = [[10, 10, 30, 31], [11, 10, 30, 30], [80, 70, 100, 91], [0, 60, 20, 90], [60, 10, 90, 40]]
    result = judge(Known(lambda *_: (boxes, [0.9, 0.8, 0.95, 0.7, 0.3])), [faces], shown=0.5)
    assert [face.score for face in result.found] == pytest.approx([0.9])
    assert [list(face.box) for face in result.missed] == [[60, 10, 90, 40], [40, 60, 60, 80]]
    assert [face.score for face in result.false] == pytest.approx([0.8, 0.7])  # a second box, and on no face
    assert result.figures["all"]["faces"] == 3 and result.figures["all"]["found"] == 2  # also from score 0.3 on
    # Precision 1/1 at recall 1/3, then 2/4 at 2/3.
    assert result.ap == pytest.approx(1 / 3 + 0.5 / 3)
    sheet = sheets.face_sheet(result)
    for colour in sheets.COLOURS.values():
        assert (sheet == colour).all(axis=2).sum() > 60


def test_the_verdict_parts_the_gain_of_the_scale_from_that_of_the_training():
    def story(*aps):
        rows = {str(i): Judgement({"all": {"ap": ap}}, [], [], []) for i, ap in enumerate(aps)}
        return SimpleNamespace(rows=rows, model="tiny", gain=aps[-1] - aps[0])

    assert page.verdict(story(0.7, 0.75)).endswith("rose from 0.700 to 0.750.")
    assert page.verdict(story(0.7, 0.8, 0.79)).endswith("to 0.790: +0.100 by the scale, -0.010 by the training.")
    assert "gained nothing" in page.verdict(story(0.7, 0.69)) and "keep tiny" in page.verdict(story(0.7, 0.69))


def test_boxes_are_drawn_where_they_are(tmp_path):
    image(tmp_path / "a.png", 320, 240)  # the size of a tile: one px is one px
    sheet = sheets.sample_sheet([record([[100, 50, 180, 130]], size=(320, 240), root=tmp_path),
                                 record([], root=tmp_path)])
    rows, columns = np.nonzero(np.abs(sheet.astype(int) - sheets.FACE).sum(axis=2) < 40)
    x, y = columns - sheets.GAP, rows - sheets.GAP
    assert (x.min(), x.max(), y.min(), y.max()) == (100, 180, 50, 130)


def test_the_table_says_what_is_too_small(tmp_path):
    roidb = Roidb([record([[0, 0, 10, 5], [0, 0, 20, 40]], name=f"{i}.png") for i in range(20)], source="labels")
    train, held = photos.divide(roidb, 0.8, tmp_path)
    said = photos.table(roidb, train, held)
    assert "20 faces are under 6 px" in said and "50 % 22" in said
    again = photos.stored(tmp_path)
    assert [[r.image for r in side.records] for side in again] == [[r.image for r in s.records] for s in (train, held)]


# ------------------------------------------------------------ the whole command, with a net that trains in seconds


@pytest.fixture(scope="module")
def tiny_ships(tmp_path_factory):
    """A net of three convolutions ships under the name `tiny`; returns the folder that the commands run in."""
    from manyfaces.nets import backend, family
    from manyfaces.nets.backbones import BACKBONES
    from manyfaces.weights.files import save_weights

    BACKBONES.setdefault("three", three_convolutions())
    tmp_path = tmp_path_factory.mktemp("own")
    folder = tmp_path / "pretrained"
    folder.mkdir()
    cfg = load_config(overrides=[str(word) for pair in SETTINGS.items() for word in pair])
    backend.prepare(0)
    save_weights(family(cfg).build(), folder / "tiny.weights.h5", cfg)
    save_config(cfg, folder / "tiny.yml")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(pretrained, "FOLDER", folder)
        monkeypatch.setattr(pretrained, "folders", lambda: [folder])
        monkeypatch.setattr("manyfaces.commands.train.DEFAULT_DETECTOR", "tiny")
        monkeypatch.chdir(tmp_path)
        write_photographs(tmp_path)
        yield tmp_path
    BACKBONES.pop("three", None)


COMMAND = ("photos", "labels", "--set", "AUGMENT.SIZE", "96", "TRAIN.BATCH", "4", "TRAIN.STEPS", "8",
           "TRAIN.SAVE_EVERY", "2", "AUGMENT.FACE_SIZES", "[10, 70]", "LOADER.PREFETCH", "1")


@pytest.fixture(scope="module")
def trained(tiny_ships, tool):
    """What the whole command printed; its folder is output/photos."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert run(tool("train").main, COMMAND) == 0
    return said.getvalue()


def test_one_command_trains_exports_and_tells(trained, tiny_ships, tool, capsys):
    out = tiny_ships / "output" / "photos"
    assert "format   YOLO" in trained and "as it ships" in trained
    assert re.search("images held out (rose|[(]AP)", trained)
    wanted = {"photos.onnx", "photos.json", "photos.weights.h5", "photos.yml", "photos.md", "samples.jpg", "faces.jpg",
              "report.html", "curves.png", "run.html"}
    assert wanted <= {path.name for path in out.iterdir()}
    report = (out / "report.html").read_text(encoding="utf-8")
    pictures = re.findall(r'src="data:image/(\w+);base64,([^"]+)"', report)
    assert [kind for kind, _ in pictures] == ["jpeg", "png", "jpeg"]
    assert all(cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1) is not None for _, data in pictures)
    assert "<script" not in report and "http" not in re.sub(r"base64,[^\"]+", "", report).replace("http-equiv", "")
    assert "photographs: those of their user" in json.loads((out / "photos.json").read_text())["licence"]
    assert run(tool("train").main, COMMAND) == 2
    assert "already holds a training" in capsys.readouterr().err


def test_the_model_that_is_printed_finds_what_its_weights_find(trained, tiny_ships):
    from manyfaces import Detector

    assert 'Detector.load("output/photos/photos.onnx")' in trained
    out, picture = tiny_ships / "output" / "photos", str(tiny_ships / "photos" / "p1.png")
    exported = Detector.load(out / "photos.onnx").detect(picture)
    keras = Detector.load(out / "photos.yml", weights=out / "photos.weights.h5").detect(picture)
    np.testing.assert_allclose(exported.scores[:5], keras.scores[:5], atol=1e-3)


def test_an_interrupted_training_continues_to_the_same_weights(trained, tiny_ships, tool, monkeypatch, capsys):
    from manyfaces.engine.train import Trainer

    main, running, folder = tool("train").main, Trainer.run, tiny_ships / "output"
    command = [*COMMAND, "--out", "output/2024 #1"]  # YAML reads a number and a comment in it

    def struck(self):
        one_step = self.train_step

        def step(*arguments):
            result = one_step(*arguments)
            if self.step == 4:
                self._on_signal(2, None)  # as Ctrl-C does
            return result

        self.train_step = step
        return running(self)

    monkeypatch.setattr(Trainer, "run", struck)
    with pytest.raises(SystemExit) as left:
        main(command)
    assert left.value.code == 130 and not (folder / "2024 #1" / "2024 #1.onnx").exists()
    monkeypatch.setattr(Trainer, "run", running)
    assert run(main, ["photos", "labels", "--out", "output/2024 #1", "--resume"]) == 0
    whole, broken = (np.load(folder / name / "checkpoint.npz") for name in ("photos", "2024 #1"))
    for key in whole.files:
        if key != "facts":
            np.testing.assert_array_equal(whole[key], broken[key], err_msg=key)
    assert (folder / "2024 #1" / "2024 #1.onnx").exists()
    write_photographs(tiny_ships / "other")
    assert run(main, ["other/photos", "other/labels", "--out", "output/2024 #1", "--resume"]) == 2
    assert "the training there is of labels, found other/labels" in capsys.readouterr().err


def test_measuring_the_pace_changes_no_variable(tiny_ships, tmp_path):
    from manyfaces.datasets import READERS
    from manyfaces.engine.train import Trainer
    from manyfaces.finetune.pace import seconds_per_step

    photos.divide(READERS["yolo"]("labels", "photos"), 0.9, tmp_path / "run")
    cfg = load_config(pretrained.FOLDER / "tiny.yml", ["TRAIN.DATASETS", "train", "DATA_DIR", str(tmp_path / "run"),
                                                       "OUTPUT_DIR", str(tmp_path)])
    trainer = Trainer(cfg)
    variables = [*trainer.model.variables, *trainer.average.variables, *trainer.optimizer.variables]
    before = [variable.numpy().copy() for variable in variables]
    seen = []
    one_step = trainer.train_step
    trainer.train_step = lambda *arguments: (one_step(*arguments), seen.append(
        not np.array_equal(trainer.model.variables[0].numpy(), before[0])))[0]
    assert seconds_per_step(trainer, 2) > 0
    assert seen == [True] * 3
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value, err_msg=variable.path)
