"""Damaged and non-finite weights: refused by name, or what is read is what was saved."""

import itertools
import json
import shutil
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from manyfaces import Detector, pretrained
from manyfaces.datasets.toy.portraits import portraits
from manyfaces.engine.checkpoint import load_state, save_state, state_arrays
from manyfaces.errors import InputError
from manyfaces.runtimes.sidecar import digest_of_weights, read_sidecar, sidecar_path, write_sidecar
from manyfaces.weights.content import DIGEST, SEAL, check_weights, sealed, stamp, stamped
from manyfaces.weights.files import read_reference

ARRAYS = {"layers/conv/vars/0": (3, 3, 4, 8), "layers/conv/vars/1": (8,), "layers/bn/vars/0": (8,)}


def weights_file(path, digest=True, value=None):
    """A small file in the layout of Keras; value replaces the last number of layers/bn."""
    rng = np.random.default_rng(3)
    with h5py.File(path, "w") as file:
        for name, shape in ARRAYS.items():
            file[name] = rng.normal(size=shape).astype(np.float32)
            file[name].parent.attrs["name"] = name.split("/")[1]
        file.attrs["manyfaces"] = json.dumps({"NET.ALPHA": 0.25})
        if value is not None:
            file["layers/bn/vars/0"][-1] = value
        if digest:
            stamp(file)
    return path


def content(path):
    """Names, attributes and arrays, to compare."""
    found = {}
    with h5py.File(path, "r") as file:
        found[""] = dict(file.attrs)
        file.visititems(lambda name, item: found.update({name: (
            dict(item.attrs), item[()].tolist() if isinstance(item, h5py.Dataset) else None)}))
    return found


def damaged(data, count, seed=0):
    """`data` with one to three bytes changed, `count` times, and a few shortened copies."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        changed = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            changed[place] ^= int(rng.integers(1, 256))
        yield bytes(changed) if number % 10 else data[: int(rng.integers(0, len(data)))]


def test_a_sound_file_passes_and_gives_its_config(tmp_path):
    for digest in (True, False):
        assert check_weights(weights_file(tmp_path / "w.weights.h5", digest)) == {"NET.ALPHA": 0.25}
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        file["layers/conv/vars/0"] = np.zeros(3)  # of another program
    assert check_weights(tmp_path / "x.weights.h5") == {}


def test_of_250_damaged_files_none_gives_other_weights(tmp_path):
    path, refused = weights_file(tmp_path / "w.weights.h5"), 0
    before = content(path)
    for data in damaged(path.read_bytes(), 250):
        path.write_bytes(data)
        try:
            check_weights(path)
        except InputError as error:
            refused += 1
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
        else:  # the byte was padding
            assert content(path) == before
    assert refused > 50


def test_a_changed_number_is_noticed_and_a_new_digest_accepts_it(tmp_path):
    path = weights_file(tmp_path / "w.weights.h5")
    with h5py.File(path, "r+") as file:
        file["layers/conv/vars/1"][0] += 1e-3
    with pytest.raises(InputError, match=r"w\.weights\.h5: its content differs from what was saved \(checksum\)"):
        check_weights(path)
    with h5py.File(path, "r+") as file:
        stamp(file)
    check_weights(path)
    with h5py.File(path, "r+") as file:
        file["layers/conv/vars"].attrs["name"] = "other"
    with pytest.raises(InputError, match="differs from what was saved"):
        check_weights(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("digest", [True, False])
def test_a_value_that_is_not_finite_is_refused_by_name(value, digest, tmp_path):
    path = weights_file(tmp_path / "w.weights.h5", digest, value)
    with pytest.raises(InputError, match=r"w\.weights\.h5: layers/bn/vars/0 \(layer bn\) holds a value that"):
        check_weights(path)


def test_arrays_far_larger_than_their_file_are_not_made(tmp_path):
    path = tmp_path / "w.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("layers/conv/vars/0", (2**36,), np.float32, chunks=(2**20,))
    with pytest.raises(InputError, match=r"its arrays would have 274,877,906,944 bytes"):
        check_weights(path)


def test_shipping_adds_a_digest_where_there_is_none(tmp_path):
    path = weights_file(tmp_path / "w.weights.h5", digest=False)
    before = content(path)
    path.write_bytes(stamped(path))
    after = content(path)
    assert after[""].pop(DIGEST) and after == before
    with pytest.raises(InputError, match="differs"):
        with h5py.File(path, "r+") as file:
            file.attrs[DIGEST] = "0"
        stamped(path)


@pytest.mark.parametrize("name", pretrained.names())
def test_shipped_weights_are_checked_by_a_digest(name, tmp_path):
    source = pretrained.weights_file(name)
    files = sorted(source.iterdir()) if source.is_dir() else [source, source.with_name(f"{name}.json")]
    for file in files:
        shutil.copyfile(file, tmp_path / file.name)
    for path in tmp_path.glob("*.weights.h5"):
        assert digest_of_weights(path) or SEAL in path.read_bytes()[-100:]  # in the sidecar, or in the file itself
        check_weights(path)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        with pytest.raises(InputError, match="differs from what was saved|not a complete weights file"):
            check_weights(path)


# ---------------------------------------------------------------- checkpoints


class Variable:
    """What a checkpoint needs of a Keras variable."""

    def __init__(self, path, value):
        self.path, self.value, self.shape = path, value, value.shape

    def numpy(self):
        return self.value

    def assign(self, value):
        self.value = value


def test_of_damaged_checkpoints_none_gives_another_state(tmp_path):
    rng, path, refused = np.random.default_rng(5), tmp_path / "checkpoint.npz", 0
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in ((40, 9), (7,))]
    variables = [Variable(f"v{n}", array) for n, array in enumerate(arrays)]
    save_state(path, state_arrays({"model": variables}), step=12, best=0.5)
    for data in damaged(path.read_bytes(), 250, seed=1):
        path.write_bytes(data)
        variables = [Variable(f"v{n}", np.zeros_like(array)) for n, array in enumerate(arrays)]
        try:
            facts = load_state(path, {"model": variables})
        except InputError:
            refused += 1
        else:
            assert facts == {"step": 12, "best": 0.5}
            for variable, array in zip(variables, arrays, strict=True):
                np.testing.assert_array_equal(variable.value, array)
    assert refused > 150


def test_a_checkpoint_with_nan_is_refused_by_name(tmp_path):
    path = tmp_path / "checkpoint.npz"
    save_state(path, state_arrays({"model": [Variable("a", np.ones(3)), Variable("b", np.array([1, np.nan]))]}), step=1)
    with pytest.raises(InputError, match=r"checkpoint\.npz: model b holds a value that is not finite"):
        load_state(path, {"model": [Variable("a", np.zeros(3)), Variable("b", np.zeros(2))]})


def test_an_array_of_another_program_with_nan_is_refused_by_name(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.ones(2), b=np.array([np.inf]))
    with pytest.raises(InputError, match=r"x\.npz: b holds a value that is not finite"):
        read_reference(tmp_path / "x.npz", ["a", "b"])
    from manyfaces.weights.backbones import set_layer_weights

    layer = SimpleNamespace(name="conv1", weights=[np.zeros(2)], set_weights=None)
    with pytest.raises(InputError, match="x.pth: layer conv1 holds a value that is not finite"):
        set_layer_weights(layer, [np.array([0, np.nan])], "x.pth")


# ------------------------------------------------------------ exported models


@pytest.fixture
def model(tmp_path):
    """A copy of a shipped model with its sidecar."""
    source = pretrained.model_file("ssh_mobilenet_v1_025")
    for path in (source, sidecar_path(source)):
        shutil.copyfile(path, tmp_path / path.name)
    return tmp_path / source.name


def test_of_damaged_sidecars_none_gives_other_settings(model):
    sidecar, refused = sidecar_path(model), 0
    before, data = read_sidecar(model), sidecar.read_bytes()
    for changed in damaged(data, 120, seed=2):
        sidecar.write_bytes(changed)
        try:
            assert read_sidecar(model) == before
        except InputError:
            refused += 1
    assert refused > 60


def test_a_model_that_was_copied_in_part_is_called_so(model, tmp_path):
    data = model.read_bytes()
    model.write_bytes(data[: len(data) // 2])
    whole, part = f"{len(data):,}", f"{len(data) // 2:,}"
    with pytest.raises(InputError, match=rf"ssh_mobilenet_v1_025\.onnx: holds {part} of {whole} bytes, so it was cut"):
        Detector.load(model)
    model.write_bytes(b"\0" * len(data))
    with pytest.raises(InputError, match="sha256 differs, key sha256.*: it was changed, or copied only in part"):
        Detector.load(model)
    facts = read_sidecar_as_written(sidecar_path(model))
    xml, weights = tmp_path / "o.xml", tmp_path / "o.bin"
    xml.write_bytes(b"<net/>")
    weights.write_bytes(b"12345678")
    write_sidecar(xml, facts)
    read_sidecar(xml)
    weights.write_bytes(b"1234")
    with pytest.raises(InputError, match=r"o\.xml: holds 10 of 14 bytes.*copy it again with its \.bin"):
        read_sidecar(xml)


def read_sidecar_as_written(path):
    return json.loads(path.read_text())


def test_a_net_that_gives_nan_is_an_error_and_not_an_empty_scene():
    detector, image = Detector.load("ssh_mobilenet_v1_025"), np.zeros((64, 64, 3), np.uint8)
    run = detector.run
    for value in (np.nan, np.inf):
        detector.run = lambda images, value=value: {name: values * np.float32(value) if name == "m2_scores" else values
                                                    for name, values in run(images).items()}
        with pytest.raises(InputError, match="its output m2_scores holds values that are not finite"):
            detector.detect(image)
    cascade = Detector.load("mtcnn")
    nets, face = dict(cascade.run), portraits()[0].image[150:450, 100:400]
    for stage, name in [*itertools.product(nets, ("scores", "boxes")), ("onet", "landmarks")]:
        cascade.run = {**nets, stage: lambda images, stage=stage, name=name: {
            key: np.asarray(values) * (np.nan if key == name else 1) for key, values in nets[stage](images).items()}}
        with pytest.raises(InputError, match=f"{stage}: its output {name} holds values that are not finite"):
            cascade.detect(face)


def test_damaged_copies_of_shipped_weights_are_recognised_without_their_sidecar(tmp_path):
    path, source = tmp_path / "x.weights.h5", pretrained.weights_file("ssh_mobilenet_v1_025")
    before, refused = content(source), 0
    for data in damaged(source.read_bytes(), 12, seed=4):
        path.write_bytes(data)
        try:
            check_weights(path)
        except InputError:
            refused += 1
        else:
            assert content(path) == before
    assert refused == 12
    path.write_bytes(source.read_bytes())
    check_weights(path)
    with h5py.File(path, "r+") as file:  # another training: the same size, other numbers
        for item in file["layers"].values():
            for values in item["vars"].values():
                values[...] = np.random.default_rng(0).normal(size=values.shape)
        stamp(file)
    # HDF5 cuts off what stands behind its file: the checksum of the shipped weights.
    assert path.stat().st_size == len(source.read_bytes()) - len(sealed(b""))
    check_weights(path)


def test_a_checksum_behind_the_file_is_checked_before_hdf5_opens_it(tmp_path, monkeypatch):
    """A damaged heap or table of HDF5 may lead back to itself: HDF5 then reads for ever."""
    path = weights_file(tmp_path / "w.weights.h5")
    plain, before = path.read_bytes(), content(path)
    path.write_bytes(sealed(plain))
    assert check_weights(path) == {"NET.ALPHA": 0.25} and content(path) == before
    path.write_bytes(plain)
    assert check_weights(path) == {"NET.ALPHA": 0.25}  # files without it are read as before

    def never(*_, **__):
        raise AssertionError("HDF5 opened it")

    monkeypatch.setattr(h5py, "File", never)
    whole = sealed(plain)
    for number, data in enumerate(damaged(plain, 100, seed=6)):
        path.write_bytes(data + whole[len(plain):] if number % 2 else data[:1000] + whole[-200:])
        with pytest.raises(InputError, match="its content differs from what was saved"):
            check_weights(path)


def test_saved_weights_have_that_checksum(tmp_path):
    from manyfaces.nets import backend
    from manyfaces.weights.files import load_weights, save_weights

    backend.prepare(seed=0)
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    save_weights(model, tmp_path / "w.weights.h5")
    before = model.get_weights()
    assert (tmp_path / "w.weights.h5").read_bytes().count(SEAL) == 1
    model.set_weights([values + 1 for values in before])
    load_weights(model, tmp_path / "w.weights.h5")
    assert all(map(np.array_equal, model.get_weights(), before))
