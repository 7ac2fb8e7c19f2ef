"""TRAIN.PRECISION: losses near those of float32 for every family, exact resume, the scale of the loss."""

import shutil

import numpy as np
import pytest
from tiny_training import numbers, rows, scenes_folder, state, tiny_config, trainer
from two_devices import CASES, COMMON

from manyfaces.config import load_config
from manyfaces.data_layer.loader import Loader
from manyfaces.engine.records import config_records
from manyfaces.engine.train import NonFiniteLoss
from manyfaces.nets import FAMILIES, backend, family
from manyfaces.weights.files import load_weights

keras = pytest.importorskip("keras", reason="Keras is not installed")
from manyfaces.engine.precision import LARGEST_SCALE, STEPS_UNTIL_DOUBLED, Precision  # noqa: E402

scenes = pytest.fixture(scenes_folder, scope="module")
NETS = {"ssh": {}, "grid": CASES["grid"], "ssd": CASES["ssd"], "mtcnn": CASES["rnet"],
        "tiny": {"FAMILY": "tiny", "ANCHORS__STRIDES": [8, 16], "ANCHORS__WIDTHS": [12.0, 30.0],
                 "ANCHORS__HEIGHTS": [14.0, 36.0], "LOSS__CLASS": "ohem"}}
# Largest distance of the sum of an image's losses from that of float32, as a fraction of it. A 16-bit number is exact
# to 1/512 (bfloat16) or 1/4096 (float16) of itself.
BOUND = {"bfloat16": 0.02, "float16": 0.003}
SMALL = {**CASES["ssd_sgd"], "TRAIN__STEPS": 4, "TRAIN__BATCH": 2, "TRAIN__SAVE_EVERY": 2, "TRAIN__EMA": 0.0}


def batch_of(cfg, net):
    """Images and targets of a batch; crops are noise, for no samples were cut."""
    if net.crop_side is None:
        records, _ = config_records(cfg, "scenes")
        batch = Loader(records, np.ones(len(records)), net.encode, cfg).batch(0)
        batch.pop("names")
        return batch.pop("images"), batch
    rng, count = np.random.default_rng(0), 24
    return rng.integers(0, 256, (count, net.side, net.side, 3), np.uint8), {
        "label": np.int32([1, -1, 0, -2] * 6), "box": rng.normal(0, 0.2, (count, 4)).astype(np.float32),
        "landmarks": rng.random((count, 10), np.float32)}


def losses_in(precision, net, model, images, targets):
    """Losses as the training step computes them, summed per image, or per group of crops that is mined together."""
    with Precision(precision).computing(model):
        outputs = model(np.float32(images), training=True)
    assert all(keras.backend.standardize_dtype(value.dtype) == "float32" for value in outputs.values())
    losses = np.sum([np.asarray(value) for value in net.losses(targets, outputs).values()], axis=0)
    return losses.reshape(-1, net.together).sum(axis=1)


@pytest.mark.parametrize("name", NETS)
def test_the_losses_are_those_of_float32(scenes, name):
    cfg = tiny_config(scenes, NAME=name, **{**COMMON, **NETS[name]})
    net = family(cfg)
    keras.utils.set_random_seed(1)
    model = net.build()
    for head in model.outputs:  # a new net has nearly the same output everywhere: let it depend on the image
        layer = head._keras_history.operation
        layer.set_weights([value * 30 if value.ndim > 1 else value for value in layer.get_weights()])
    first = model.get_weights()
    images, targets = batch_of(cfg, net)
    found = {}
    for precision in ("float32", *BOUND):
        model.set_weights(first)
        found[precision] = losses_in(precision, net, model, images, targets)
    policies = {layer.dtype_policy.name for layer in model.layers}
    assert policies == {"float32"}, "outside the step the net is as it was"
    for precision, bound in BOUND.items():
        distance = np.abs(found[precision] / found["float32"] - 1)
        assert 0 < distance.max() < bound, (precision, distance)


def test_every_family_is_tried():
    assert set(NETS) == set(FAMILIES)


@pytest.mark.slow
@pytest.mark.parametrize("precision", BOUND)
def test_a_resumed_training_is_exact_and_its_weights_are_float32(scenes, precision):
    name, settings = f"resumed_{precision}", {**COMMON, **SMALL, "TRAIN__PRECISION": precision}
    whole = trainer(scenes, name, **settings)
    step = whole.train_step

    def keep(*arguments):
        if whole.step == 2:
            shutil.copy(whole.folder / "checkpoint.npz", whole.folder / "kept.npz")
        return step(*arguments)

    whole.train_step = keep
    if whole.precision.variables:
        skipped_with_a_scale_that_is_too_large(whole, step)
    whole.run()
    expected = state(scenes, name)
    assert ("scaling/0000" in expected) == (precision == "float16")
    assert {value.dtype.name for value in expected.values()} <= {"float32", "int32", "int64"}
    shutil.copy(whole.folder / "kept.npz", whole.folder / "checkpoint.npz")
    resumed = trainer(scenes, name, resume=True, **settings)
    assert resumed.step == 2
    resumed.run()
    found = state(scenes, name)
    assert found.keys() == expected.keys()
    for key in expected:
        np.testing.assert_array_equal(found[key], expected[key], key)

    plain = family(tiny_config(scenes, NAME="plain", **{**COMMON, **CASES["ssd_sgd"]}))
    net = plain.build()
    load_weights(net, whole.folder / "last.weights.h5", plain.cfg)
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    for key, value in backend.runner(net)(images).items():
        np.testing.assert_array_equal(resumed.detector.run(images)[key], value, key)


def skipped_with_a_scale_that_is_too_large(run, step):
    """A step whose gradient leaves the range of float16 changes the scale and nothing else."""
    scale, _ = run.precision.variables
    scale.assign(2.0**100)
    targets = run.loader.batch(0)
    images, _ = targets.pop("images"), targets.pop("names")
    groups = {name: numbers(part) for name, part in run._groups().items() if name != "scaling"}
    losses, norm = step(images, targets, np.ones(1, np.float32), np.float32(0))
    assert all(np.isfinite(value).all() for value in losses.values()) and not np.isfinite(norm)
    for name, before in groups.items():
        for a, b in zip(before, numbers(run._groups()[name]), strict=True):
            np.testing.assert_array_equal(a, b, name)
    assert numbers(run.precision.variables) == [2.0**99, 0] and run.precision.skips(norm)
    scale.assign(2.0**15)


def test_the_scale_falls_at_once_and_rises_slowly():
    after = Precision("float16").next_scale
    table = [((1024.0, 5, False), (512.0, 0)), ((1024.0, 5, True), (1024.0, 6)),
             ((1024.0, STEPS_UNTIL_DOUBLED - 1, True), (2048.0, 0)),
             ((1024.0, STEPS_UNTIL_DOUBLED - 1, False), (512.0, 0)),
             ((LARGEST_SCALE, STEPS_UNTIL_DOUBLED - 1, True), (LARGEST_SCALE, 0)), ((1.0, 0, False), (0.5, 0))]
    for (scale, steps, finite), expected in table:
        found = after(np.float32(scale), np.int32(steps), np.bool_(finite))
        assert tuple(float(value) for value in found) == expected
    assert Precision("bfloat16").variables == [] == Precision().variables


@pytest.mark.slow
def test_skipped_steps_end_a_training_only_where_no_scale_helps(scenes):
    run = trainer(scenes, "diverged", **{**COMMON, **SMALL, "TRAIN__PRECISION": "float16"})
    scale, _ = run.precision.variables
    scales, norms = iter([4.0, 2.0, 2.0, 0.5]), iter([1.0, np.inf, 3.0, np.nan])

    def step(images, targets, weights, momentum):
        scale.assign(next(scales))
        return {"head_class": np.ones(len(images), np.float32)}, next(norms)

    run.train_step = step
    with pytest.raises(NonFiniteLoss, match=r"^step 3: .*norm=nan.* or with TRAIN\.PRECISION bfloat16$"):
        run.run()
    log = rows(run.folder / "train.csv")
    assert [(row["step"], row["norm"], row["scale"]) for row in log] == [("1", "1", "4"), ("3", "3", "2")]

    run = trainer(scenes, "diverged_bfloat16", **{**COMMON, **SMALL, "TRAIN__PRECISION": "bfloat16"})
    run.train_step = lambda images, *_: ({"head_class": np.ones(len(images), np.float32)}, np.inf)
    with pytest.raises(NonFiniteLoss, match=r"^step 0: .*lower TRAIN\.RATE$"):
        run.run()


def test_a_config_without_the_key_is_float32(tmp_path):
    (tmp_path / "old.yml").write_text("NAME: old\nTRAIN: {RATE: 0.01}\n")
    assert load_config(tmp_path / "old.yml").TRAIN.PRECISION == "float32"
