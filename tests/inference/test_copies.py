"""Detectors that are copied, pickled or given to another process: the same faces, from the file opened again."""

import copy
import multiprocessing
import os
import pickle
import shutil

import numpy as np
import pytest
from exported import NAME, exported

from manyfaces import Detector, pretrained
from manyfaces.datasets.toy.portraits import portraits
from manyfaces.errors import InputError


def image():
    return portraits()[0].image[150:450, 100:400]


def numbers(faces):
    return faces.boxes.tobytes(), faces.scores.tobytes(), faces.landmarks.tobytes()


def check_copies(detector):
    """A copy of each kind detects the same, with the config as it is now; the one copied is as before."""
    detector.cfg.TEST.SCORE = 0.4
    expected = detector.detect(image(), threshold=0)
    assert len(expected) >= 1
    copies = [copy.deepcopy(detector), pickle.loads(pickle.dumps(detector))]
    for other in copies:
        assert type(other) is type(detector) and other.source == detector.source and other.cfg == detector.cfg
        assert numbers(other.detect(image(), threshold=0)) == numbers(expected)
    copies[0].cfg.TEST.SCALES = [0.7]
    assert numbers(copies[0].detect(image(), threshold=0)) != numbers(expected)
    assert numbers(detector.detect(image(), threshold=0)) == numbers(expected)
    again = pickle.loads(pickle.dumps(copies[1]))
    assert numbers(again.detect(image(), threshold=0)) == numbers(expected), "a copy of a copy"


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("name", [NAME, "mtcnn"])
def test_a_detector_of_an_exported_model_goes_over_by_its_file(runtime, name):
    detector = Detector.load(name, runtime=runtime, threads=1, overrides=["TEST.FLIP", True])
    check_copies(detector)
    nets = [detector.run] if name == NAME else list(detector.run.values())
    for net, other in zip(nets, [copy.deepcopy(net) for net in nets], strict=True):
        assert type(other) is type(net) and other._opened == net._opened and other.lanes == net.lanes


@pytest.mark.slow
def test_a_detector_that_keras_runs_goes_over_by_its_config_and_weights(tmp_path, monkeypatch):
    shutil.copy(pretrained.weights_file(NAME), tmp_path / "x.weights.h5")
    monkeypatch.chdir(tmp_path)
    detector = Detector.load(pretrained.config_file(NAME), "x.weights.h5")
    data = pickle.dumps(detector)
    check_copies(detector)
    monkeypatch.chdir("/")
    assert len(pickle.loads(data).detect(image(), threshold=0)) >= 1, "a relative path holds in another folder"
    check_copies(Detector.load("mtcnn", runtime="keras"))
    os.utime(tmp_path / "x.weights.h5", (1, 1))
    with pytest.raises(InputError, match=r"x\.weights\.h5: has changed since the detector was loaded from it"):
        pickle.loads(data)


@pytest.mark.slow
def test_a_detector_of_litert_goes_over_too():
    check_copies(Detector.load(exported("litert")[0], runtime="litert", threads=1))


@pytest.mark.parametrize("name, file", [(NAME, f"{NAME}.onnx"), ("mtcnn", "mtcnn/rnet.onnx")])
def test_a_file_that_changed_or_went_is_named(tmp_path, name, file):
    for source in (*pretrained.FOLDER.glob(f"{NAME}.*"), pretrained.FOLDER / "mtcnn"):
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / source.name)
    detector = Detector.load(tmp_path / (file if name == NAME else name))
    data = pickle.dumps(detector)
    with open(tmp_path / file, "ab") as stream:
        stream.write(b"x")
    with pytest.raises(InputError, match=f"{file}: has changed since the detector was loaded from it.*load it again"):
        pickle.loads(data)
    (tmp_path / file).unlink()
    with pytest.raises(InputError, match=f"{file}: no such file"):
        copy.deepcopy(detector)
    assert len(detector.detect(image(), threshold=0)) >= 1


def report(detectors, queue):
    queue.put([numbers(detector.detect(image(), threshold=0)) for detector in detectors])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_another_process_finds_the_same(method):
    """With fork the detectors have been used before."""
    detectors = [Detector.load(name, runtime="onnxruntime", threads=1) for name in (NAME, "mtcnn")]
    expected = [numbers(detector.detect(image(), threshold=0)) for detector in detectors]
    context = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    process = context.Process(target=report, args=(detectors, queue))
    process.start()
    assert queue.get() == expected
    process.join()
    assert process.exitcode == 0


def test_a_net_that_was_never_in_a_file_says_so():
    keras = pytest.importorskip("keras")
    from stand_in import square_detector

    from manyfaces.nets import backend

    detector = square_detector()
    first, second = (each.detect(image(), threshold=0) for each in (copy.deepcopy(detector), detector))
    assert np.array_equal(first.boxes, second.boxes)
    inputs = keras.Input((None, None, 3))
    detector.run = backend.runner(keras.Model(inputs, {"green": inputs}))
    for call in (pickle.dumps, copy.deepcopy):
        with pytest.raises(InputError, match="a Keras net in memory cannot be copied .*load them there with Detector"):
            call(detector)
