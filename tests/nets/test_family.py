"""The contract of lib/nets/family.py, held by every family that comes with the package."""

import numpy as np
import pytest
from conftest import ROOT

from manyfaces.config import load_config
from manyfaces.detections import Detections
from manyfaces.errors import InputError
from manyfaces.nets import FAMILIES, family
from manyfaces.nets.family import REQUIRED, DetectionModule, Family
from manyfaces.runtimes.faces import Faces

# One config per family, small enough to build in seconds; of MTCNN one per stage.
CONFIGS = {
    "ssh": ("ssh_mobilenet_v1_025", "NET.WIDTHS", [8, 8, 8]),
    "ssd": ("ssd_mobilenet_v2_075",),
    "tiny": ("tiny_mobilenet_v1_025",),
    "grid": ("grid_mobilenet_v2_100",),
    "pnet": ("mtcnn_pnet",), "rnet": ("mtcnn_rnet",), "onet": ("mtcnn_onet",),
}
IMAGES, FACES = 2, 3
MAPS = {"scores": 1, "boxes": 4, "landmarks": 10}  # channels per anchor


def made(name):
    config, *words = CONFIGS[name]
    return family(load_config(ROOT / "cfgs" / f"{config}.yml", ["NET.WEIGHTS", "", *words]))


def sample_of(net):
    """A training sample as Family.encode describes it; of a stage of MTCNN a crop."""
    cfg, rng = net.cfg, np.random.default_rng(0)
    side = net.crop_side or (cfg.GRID.INPUT if cfg.FAMILY == "grid" else 96)
    image = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    if net.crop_side:
        return {"image": image, "label": 1, "box": np.zeros(4), "landmarks": np.zeros(10)}
    boxes = np.float32([[8, 8, 40, 48], [30, 40, 60, 80], [50, 10, 62, 24]])[:FACES]
    landmarks = boxes[:, None, :2] + np.full((1, 5, 2), 6, np.float32)
    return {"image": image, "boxes": boxes, "ignore": np.array([False, False, True]), "landmarks": landmarks,
            "picture": np.float32([0, 0, side, side])}


def test_every_family_is_tried():
    assert {load_config(ROOT / "cfgs" / f"{config}.yml").FAMILY for config, *_ in CONFIGS.values()} == set(FAMILIES)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_contract(name):
    net = made(name)
    assert isinstance(net, Family) and all(getattr(type(net), part) is not getattr(Family, part) for part in REQUIRED)
    assert net.modules and all(isinstance(module, DetectionModule) for module in net.modules)
    assert net.multiple % max(1, *(module.stride for module in net.modules)) == 0 or net.multiple == 1
    assert isinstance(net.together, int) and net.together >= 1
    assert net.input_size is None or len(net.input_size) == 2
    sample = sample_of(net)
    height, width = sample["image"].shape[:2]

    model = net.build()
    images = np.stack([sample["image"]] * IMAGES).astype(np.float32)
    maps = {key: np.asarray(value) for key, value in model(images, training=False).items()}
    assert len(model.inputs) == 1 and model.inputs[0].shape[-1] == 3
    for module in net.modules:
        own = {key: value for key, value in maps.items() if key.startswith(f"{module.name}_")} or maps
        for values in own.values():
            assert values.dtype == np.float32 and len(values) == IMAGES and values.ndim in (2, 4)
            if values.ndim == 4 and not net.crop_side:
                rows = -(-(height + -height % net.multiple) // module.stride)
                assert values.shape[1] == rows == values.shape[2]
        kinds = {key.rpartition("_")[2]: value for key, value in own.items()}
        if "scores" in kinds:
            per_cell = kinds["scores"].shape[-1] // (2 if net.crop_side else 1)
            assert {kind: value.shape[-1] for kind, value in kinds.items() if kind != "scores"} == {
                kind: MAPS[kind] * per_cell for kind in kinds if kind != "scores"}

    targets = net.encode(sample)
    again = net.encode({**sample, "image": sample["image"][::-1]})
    assert {key: (np.shape(value), np.asarray(value).dtype) for key, value in targets.items()} == {
        key: (np.shape(value), np.asarray(value).dtype) for key, value in again.items()}
    losses = net.losses({key: np.stack([value] * IMAGES) for key, value in targets.items()}, maps)
    assert losses and all(tuple(np.shape(value)) == (IMAGES,) for value in losses.values())
    names = {module.name for module in net.modules}
    assert {key.rpartition("_")[0] for key in losses} == names
    assert all(np.isfinite(np.asarray(value)).all() for value in losses.values())

    one = {key: value[0] for key, value in maps.items()}
    if net.crop_side:
        with pytest.raises(InputError, match=f"MTCNN.STAGE is '{name}': one net of three, which finds no faces alone"):
            net.decode(one, (width, height))
        return
    scaled = net.at_scale(one, 0.5)
    assert {key: value.shape for key, value in scaled.items()} == {key: value.shape for key, value in one.items()}
    net.cfg.TEST.SCORE = 1e-4
    faces = net.decode(one, (width, height))
    assert isinstance(faces, Detections) and len(faces) > 0
    assert faces.boxes.shape == (len(faces), 4) and faces.boxes.dtype == faces.scores.dtype == np.float32
    assert (faces.landmarks is not None) == net.cfg.NET.LANDMARKS
    assert faces.landmarks is None or faces.landmarks.shape == (len(faces), 5, 2)
    measures = net.validation({key: np.stack([value] * 2) for key, value in one.items()},
                              {key: np.stack([value] * 2) for key, value in targets.items()})
    assert set(net.measures) <= set(measures) and all(isinstance(value, float) for value in measures.values())


def test_a_model_that_gives_faces_is_only_run():
    net, cfg = Faces(load_config()), load_config()
    outputs = {"boxes": np.zeros((2, 4), np.float32), "scores": np.float32([0.9, 0.5])}
    assert len(net.decode(outputs, (64, 64))) == 2 and net.multiple == 1 and not net.modules
    for part, argument in (("build", ()), ("encode", ({},)), ("losses", ({}, {}))):
        with pytest.raises(InputError, match=rf"Faces has no {part}\(\): this family cannot be trained or built"):
            getattr(net, part)(*argument)
    assert Family(cfg).at_scale(outputs, 2.0) is outputs and Family(cfg).validation({}, {}) == {}
