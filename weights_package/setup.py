"""Build manyfaces-weights: what ../lib/pretrained holds and the wheel of manyfaces does not. `make wheel` calls this.

Which files those are is told by ../setup.py.
"""

import re
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def version():
    return re.search(r'^__version__ = "(.+)"$', (ROOT / "lib" / "__init__.py").read_text("utf-8"), re.MULTILINE)[1]


def models():
    """MODELS of ../setup.py."""
    names = re.search(r"^MODELS = \((.*)\)$", (ROOT / "setup.py").read_text("utf-8"), re.MULTILINE)[1]
    return re.findall(r'"(\w+)"', names)


def files():
    """Paths below lib/pretrained: weights, exported nets with their sidecars, and cards."""
    folder = ROOT / "lib" / "pretrained"
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        in_first_wheel = path.suffix in (".onnx", ".json") and re.split(r"[/.]", name)[0] in models()
        if path.suffix in (".h5", ".onnx", ".json", ".md") and not in_first_wheel:
            yield name


class BuildFiles(build_py):
    """Copies the files beside __init__.py."""

    def run(self):
        super().run()
        for name in files():
            target = Path(self.build_lib, "manyfaces_weights", name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / "lib" / "pretrained" / name, target)


setup(version=version(), packages=["manyfaces_weights"], package_dir={"": "."}, cmdclass={"build_py": BuildFiles},
      zip_safe=False)
