"""Precision of exported models, and the padding that OpenVINO needs to be fast."""

import numpy as np
import openvino
import pytest
from exported import exported

from manyfaces import Detector, runtimes
from manyfaces.datasets.toy.portraits import portraits
from manyfaces.errors import InputError
from manyfaces.runtimes.models import open_model


@pytest.mark.slow
def test_only_openvino_has_bfloat16():
    path, _ = exported("onnx")
    image = portraits()[0].image[None, :128, :128]
    for kind, name in (("onnx", "onnxruntime"), ("litert", "litert"), ("litert", None)):
        with pytest.raises(InputError, match="precision 'bf16': only openvino computes in it"):
            open_model(exported(kind)[0], name, precision="bf16")
    for wrong, message in (("int8", "the file is float32; `manyfaces export --int8`"), ("half", "is 'half', expected")):
        with pytest.raises(InputError, match=message):
            open_model(path, precision=wrong)
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(InputError, match="precision bf16: this processor cannot compute in it"):
            open_model(path, precision="bf16")
        return
    run, rough = (open_model(path, name, 1, precision)[1] for name, precision in (
        ("openvino", "float32"), (None, "bf16")))
    whole, half = run(image)["m1_scores"], rough(image)["m1_scores"]
    assert 1e-4 < np.abs(whole - half).mean() / np.abs(whole).mean() < 0.05  # each layer rounds to 1/256
    for portrait in portraits():
        found, roughly = (Detector.load(path, runtime="openvino", precision=precision).detect(portrait.image)
                          for precision in ("float32", "bf16"))
        assert len(found) == len(roughly) == 1 and abs(found.scores - roughly.scores)[0] < 0.01
        assert np.abs(found.boxes - roughly.boxes).max() < 0.01 * (found.boxes[:, 2] - found.boxes[:, 0]).min()


def test_openvino_pads_outside_the_model_with_the_same_result():
    path, _ = exported("onnx")
    facts = runtimes.read_sidecar(path)
    session = runtimes.open_session(path, facts, "openvino", 1)
    assert facts["input"]["multiple"] == 1 and session.facts["input"]["multiple"] == 32
    assert "Pad" not in [op.get_type_name() for op in session.source.get_ops()]
    images = np.stack([portrait.image[:101, 200:333] for portrait in portraits()])
    expected = open_model(path, "onnxruntime", 1)[1](images)  # which pads inside
    for name, values in session(images).items():
        assert values.shape == expected[name].shape
        np.testing.assert_allclose(values, expected[name], atol=1e-4)
