"""The benchmark of backbones: each figure is in the right column, and the process of a net answers as documented."""

import subprocess
import sys

import pytest
from conftest import ROOT
from tiny_training import three_convolutions

from benchmarks import backbones, run_section
from benchmarks.one_net import OneNet
from manyfaces import pretrained
from manyfaces.errors import InputError
from manyfaces.nets.backbones import BACKBONES


class Stand:
    """Replaces OneNet: records its arguments, and its time and memory depend on the runtime."""

    started = []

    def __init__(self, *words):
        self.started.append(words)
        self.times = iter({"keras": (300, 100, 200), "onnxruntime": (50, 40, 90), "openvino": (30, 30, 9)}[words[0]])
        self.memory = {"keras": 800.4, "onnxruntime": 100, "openvino": 99.6}[words[0]]

    def ms(self):
        return next(self.times)

    def megabytes(self):
        return self.memory

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def test_a_row_is_medians_per_megapixel_and_memory(monkeypatch):
    monkeypatch.setattr(backbones, "OneNet", Stand)
    monkeypatch.setattr(backbones, "PAUSE", 0)
    monkeypatch.setattr(backbones, "SIZE", (500, 400))  # a fifth of a megapixel
    monkeypatch.setattr("manyfaces.inference.loading.installed", lambda: ["onnxruntime", "openvino", "litert", "keras"])
    monkeypatch.setattr(backbones, "prepare", lambda path, folder, exported: (
        path, "w.h5", "net.onnx", {"parameters": 27_770_207, "macs": 42_319_360_000}))
    table, = backbones.run(ROOT / "cfgs", 3, ["tiny_resnet101"])
    assert table.rows == [["ResNet101", "27,770,207", "42.32", "1000", "250", "150", "800", "100", "100"]]
    assert len(table.columns) == 9 and table.columns[3] == "Keras, ms a megapixel"
    assert Stand.started == [("keras", ROOT / "cfgs/tiny_resnet101.yml", (500, 400), "w.h5"),
                             ("onnxruntime", "net.onnx", (500, 400)), ("openvino", "net.onnx", (500, 400))]


@pytest.mark.parametrize("long_ms, calls", [(0, 3), (1e9, 8)])
def test_slow_nets_are_called_less_often(long_ms, calls, monkeypatch):
    class Ten(Stand):
        def ms(self):
            asked.append(1)
            return 10.0

    asked = []
    for name, value in (("OneNet", Ten), ("PAUSE", 0), ("LONG_MS", long_ms),
                        ("prepare", lambda path, *_: (path, "w.h5", "net.onnx", {"parameters": 1, "macs": 1}))):
        monkeypatch.setattr(backbones, name, value)
    backbones.measure("cfgs", "tiny_vgg16", "VGG16", ["keras", "openvino"], 8)
    assert len(asked) == 2 * calls


def test_every_backbone_of_both_families_has_its_config():
    for family in backbones.FAMILIES:
        assert all((ROOT / "cfgs" / f"{family}_{name}.yml").is_file() for name in backbones.BACKBONES)


def test_a_net_is_counted_and_exported(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    monkeypatch.setitem(BACKBONES, "three", three_convolutions())
    (tmp_path / "tiny_three.yml").write_text("FAMILY: tiny\nNAME: three\nNET: {BACKBONE: three, WEIGHTS: imagenet}\n"
                                             "ANCHORS: {STRIDES: [8, 16], WIDTHS: [20], HEIGHTS: [25]}\n")
    monkeypatch.setattr(backbones, "SIZE", (64, 32))
    config, weights, model, facts = backbones.prepare(tmp_path / "tiny_three.yml", tmp_path)
    # 32 cells and 8: 8x8x3 and 2x2x6 to 6 channels, heads of 1 + 4 numbers on both, a fixed 3 x 3 filter of those 5.
    assert facts["parameters"] == 8 * 8 * 3 * 6 + 6 + 2 * 6 + 2 * 2 * 6 * 6 + 6 + 2 * (6 + 1) * 5 + 9 * 5
    assert facts["macs"] == 32 * 8 * 8 * 3 * 6 + 8 * 2 * 2 * 6 * 6 + (32 + 8) * 6 * 5 + 32 * 9 * 5
    assert config == tmp_path / "tiny_three.yml" and weights.is_file() and model.with_suffix(".json").is_file()


@pytest.mark.slow
def test_a_process_of_its_own():
    pytest.importorskip("onnxruntime")
    with OneNet("onnxruntime", pretrained.model_file("ssh_mobilenet_v1_025"), (64, 48)) as net:
        assert net.ms() > 0 and 20 < net.megabytes() < 400
    assert net.process.returncode == 0
    with pytest.raises(RuntimeError, match="no such model file"), OneNet("onnxruntime", "none.onnx", (64, 48)):
        pass


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="VmHWM is Linux'")
def test_the_peak_is_of_the_own_process_and_stays_when_memory_is_freed():
    code = ("from benchmarks.one_net import peak_megabytes as peak\n"
            "before = peak()\nblock = bytearray(b'1') * (200 << 20)\ndel block\nprint(before, peak() - before)")
    block = bytearray(b"1") * (300 << 20)  # held by the parent; the child must not count it
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, more = map(float, done.stdout.split())
    assert len(block) > 0 and before < 200 and more == pytest.approx(200, abs=10)


def test_without_keras_or_configs_it_says_so(tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        patched.setattr("manyfaces.inference.loading.installed", lambda: ["onnxruntime"])
        assert run_section("backbones", cfgs=ROOT / "cfgs") == []
    assert capsys.readouterr().out.startswith("backbones: left out, nets are built with Keras")
    with pytest.raises(InputError, match="no such folder; the benchmark of backbones reads the configs"):
        run_section("backbones", cfgs=tmp_path / "none")
    with pytest.raises(InputError, match="--nets tiny_vgg: expected some of tiny_vgg16, "):
        run_section("backbones", cfgs=tmp_path, names=["tiny_vgg"])
