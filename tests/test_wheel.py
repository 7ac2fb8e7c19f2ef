"""What the two wheels hold, and that it finds faces without the working tree.

The quick tests build the wheels' Python files and data into a temporary folder, and one module by the stable ABI.
`make test-wheel` builds the wheels themselves and installs them with each Python found: the last tests.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
import time
import tomllib
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

import manyfaces
from manyfaces import Detector, pretrained
from manyfaces.boxes import overlaps, reference
from manyfaces.datasets.toy.portraits import portraits

LARGEST = 10_000_000  # bytes of a wheel of manyfaces
MODULE = 130_000  # bytes of a compressed module, at most
PORTRAITS = Path("manyfaces", "datasets", "toy", "pictures")
WHEELS, PYTHONS = (os.environ.get(f"MANYFACES_{name}", "") for name in ("WHEELS", "PYTHONS"))


def call(arguments, folder, **variables):
    """stdout of a Python program in a folder, without the paths of this one."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MANYFACES"))}
    done = subprocess.run(list(map(str, arguments)), cwd=folder, env=keep | variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folders that hold the files of the two wheels but for compiled modules."""
    folders = []
    for source in (ROOT, ROOT / "weights_package"):
        folders.append(tmp_path_factory.mktemp("built"))
        call([sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", folders[-1]], source)
    return folders


def files_of(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def wrong_files(names):
    """Those that no wheel of manyfaces holds: sources and products of Cython, weights for Keras, tests."""
    return [name for name in names if re.search(r"\.(pyx|pxi|pxd|c|cpp|h5|pyc)$|(^|/)tests?/", name)]


def test_the_first_wheel_is_small_and_complete(built):
    first = built[0]
    names = files_of(first)
    assert wrong_files(names) == []
    expected = {f"manyfaces/{path.relative_to(ROOT / 'lib').as_posix()}" for path in (ROOT / "lib").rglob("*")
                if path.suffix in (".py", ".css", ".cu", ".typed", ".html", ".js") or path.parent.name == "npm"}
    expected |= {f"manyfaces/cfgs/{path.name}" for path in (ROOT / "cfgs").glob("*.yml")}
    assert expected <= names
    modules = len(list((ROOT / "lib").rglob("*.pyx"))) * MODULE
    assert modules + sum(len(zlib.compress((first / name).read_bytes())) for name in names) < LARGEST


def test_each_shipped_file_is_in_exactly_one_wheel(built):
    first, second = (files_of(folder / package) for folder, package in
                     zip(built, ("manyfaces/pretrained", "manyfaces_weights"), strict=True))
    shipped = {path.relative_to(ROOT / "lib" / "pretrained").as_posix()
               for path in (ROOT / "lib" / "pretrained").rglob("*") if path.suffix in (".onnx", ".json", ".h5", ".yml")}
    assert first & second <= {name for name in first if name.endswith((".md", ".py"))}
    assert {name for name in first | second if not name.endswith((".md", ".py"))} == shipped
    for names in (first, second):  # a net is nothing without its sidecar
        assert all(name.replace(".onnx", ".json") in names or "/" in name for name in names if name.endswith(".onnx"))


def test_the_extra_takes_the_weights_of_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    low, high = re.fullmatch(r"manyfaces-weights>=([\d.]+),<([\d.]+)",
                             *project["optional-dependencies"]["weights"]).groups()
    numbers = [tuple(map(int, version.split("."))) for version in (low, manyfaces.__version__, high)]
    assert numbers[0] <= numbers[1] < numbers[2]


PROGRAM = """
import json, sys, warnings
warnings.simplefilter("ignore")  # of missing compiled modules
import manyfaces
from manyfaces import Detector, pretrained
from manyfaces.datasets.toy.portraits import portraits
from manyfaces.errors import InputError
found = {"where": manyfaces.__file__, "names": pretrained.names(), "boxes": {}}
for name in sys.argv[1:]:
    try:
        detector = Detector.load(name, runtime="onnxruntime", threads=1)
        found["boxes"][name] = [detector.detect(portrait.image).boxes.tolist() for portrait in portraits()]
    except InputError as error:
        found["boxes"][name] = str(error)
print(json.dumps(found))
"""
SMALL, LARGE = "ssh_mobilenet_v1_025", "grid_mobilenet_v2_100"


@pytest.mark.slow
def test_the_files_of_the_wheels_find_the_same_faces_in_another_folder(built, tmp_path):
    first = json.loads(call([sys.executable, "-P", "-c", PROGRAM, SMALL, LARGE], tmp_path, PYTHONPATH=str(built[0])))
    assert Path(first["where"]).is_relative_to(built[0])
    assert SMALL in first["names"] and LARGE not in first["names"]
    assert "pip install manyfaces-weights" in first["boxes"][LARGE]
    both = json.loads(call([sys.executable, "-P", "-c", PROGRAM, LARGE], tmp_path,
                           PYTHONPATH=os.pathsep.join(map(str, built))))
    assert both["names"] == pretrained.names()
    for name, boxes in ((SMALL, first["boxes"][SMALL]), (LARGE, both["boxes"][LARGE])):
        detector = Detector.load(name, runtime="onnxruntime", threads=1)
        assert boxes == [detector.detect(portrait.image).boxes.tolist() for portrait in portraits()]


ONE_MODULE = """
import sys, setuptools
all_modules = setuptools.setup
setuptools.setup = lambda **facts: all_modules(**facts | {"ext_modules": [
    module for module in facts["ext_modules"] if module.name == "manyfaces.boxes.bbox"]})
sys.argv = ["setup.py", "--quiet", "build_ext", "--build-lib", sys.argv[1], "--build-temp", sys.argv[1]]
exec(open("setup.py").read())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there a module's name does not tell its ABI")
def test_a_module_of_the_wheel_uses_the_stable_abi_and_equals_its_twin(tmp_path):
    if importlib.util.find_spec("manyfaces.boxes.bbox") is None:
        pytest.skip("nothing is compiled here: no C compiler")
    call([sys.executable, "-W", "ignore", "-c", ONE_MODULE, tmp_path], ROOT)
    path = tmp_path / "manyfaces" / "boxes" / "bbox.abi3.so"
    assert path.is_file() and len(list(path.parent.iterdir())) == 1
    spec = importlib.util.spec_from_file_location("manyfaces.boxes.bbox", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sides = np.random.default_rng(0).uniform(0, 50, (60, 4)).astype(np.float32)
    boxes = np.concatenate([sides[:, :2], sides[:, :2] + sides[:, 2:]], axis=1)
    np.testing.assert_array_equal(module.overlaps(boxes, boxes), reference.overlaps(boxes, boxes))


full = pytest.mark.skipif(not WHEELS, reason="make test-wheel builds the wheels and tests them")


def wheel(package):
    files = list((ROOT / WHEELS).glob(f"{package}-{manyfaces.__version__}-*.whl"))
    assert len(files) == 1, files
    return files[0]


@full
@pytest.mark.slow
def test_the_built_wheel_is_small_and_for_every_python_and_an_old_linux():
    import zipfile

    path = wheel("manyfaces")
    names = zipfile.ZipFile(path).namelist()
    assert wrong_files(names) == [] and path.stat().st_size < LARGEST
    modules = [name for name in names if name.endswith((".so", ".pyd"))]
    assert len(modules) == len(list((ROOT / "lib").rglob("*.pyx")))
    if sys.platform == "linux":
        assert all(name.endswith(".abi3.so") for name in modules)
        assert re.search(r"-cp311-abi3-manylinux(2014|_2_17)_", path.name)
    assert not any(name.startswith("manyfaces.libs") for name in names)  # no library was taken along


def pythons():
    """Each version of Python that manyfaces runs on, once."""
    found = {}
    for each in PYTHONS.split():
        try:
            version = subprocess.run([each, "-c", "import sys, venv, ensurepip; print(*sys.version_info[:2])"],
                                     capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            continue
        if version in ("3 11", "3 12", "3 13"):
            found.setdefault(version, each)
    return sorted(found.items())


@full
@pytest.mark.slow
@pytest.mark.parametrize("version, python", pythons() or [("none", "")])
def test_the_wheel_finds_faces_in_a_clean_environment(version, python, tmp_path, capsys):
    assert python, f"none of these is Python 3.11 to 3.13: {PYTHONS}"
    call([python, "-m", "venv", tmp_path / "env"], tmp_path)
    scripts = tmp_path / "env" / "bin"
    start = time.monotonic()
    call([scripts / "pip", "install", "--quiet", wheel("manyfaces")], tmp_path)
    installed = time.monotonic()
    code = "import manyfaces, os; print(os.path.dirname(os.path.dirname(manyfaces.__file__)))"
    site = Path(call([scripts / "python", "-c", code], tmp_path).strip())
    assert site.is_relative_to(tmp_path)
    for portrait, name in zip(portraits(), ("hopper.jpg", "collins.png"), strict=True):
        before = time.monotonic()
        out = call([scripts / "manyfaces", "detect", site / PORTRAITS / name, "--json", "-"], tmp_path)
        with capsys.disabled():
            print(f"\nPython {version.replace(' ', '.')}: installed in {installed - start:.0f} s, {name} in "
                  f"{time.monotonic() - before:.1f} s")
        boxes = np.float32([face["box"] for face in json.loads(out)["faces"]])
        assert overlaps(boxes[:1], np.float32(portrait.box)[None])[0, 0] > 0.6
    call([scripts / "pip", "install", "--quiet", "--no-deps", wheel("manyfaces_weights")], tmp_path)
    found = json.loads(call([scripts / "python", "-W", "error", "-c", PROGRAM, LARGE], tmp_path))
    assert found["names"] == pretrained.names() and len(found["boxes"][LARGE]) == 2
