"""Without compiled modules the NumPy twins are used: with one warning, and with the same results."""

import subprocess
import sys

import numpy as np

from manyfaces.boxes import overlaps
from manyfaces.nms import nms

PROGRAM = """
import sys, warnings

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in {"manyfaces.boxes." + module for module in ("anchors", "bbox", "targets", "transforms")} | {
                "manyfaces.nms.cpu_nms", "manyfaces.nms.cpu_soft_nms"}:
            raise ImportError(name)

sys.meta_path.insert(0, Missing())
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from manyfaces import boxes, nms
assert not boxes.COMPILED and not nms.COMPILED
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
print([str(warning.message) for warning in caught if warning.category is RuntimeWarning])
print(boxes.overlaps([[0, 0, 4, 4]], [[2, 0, 6, 4]]).tolist(),
      nms.nms([[0, 0, 4, 4], [0, 0, 4, 5]], [1, 2], 0.5).tolist())
"""


def test_numpy_twins_are_used_with_one_warning():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    messages, results = done.stdout.splitlines()
    assert messages.count("not compiled") == 1 and "Install a C compiler" in messages
    expected = overlaps([[0, 0, 4, 4]], [[2, 0, 6, 4]]), nms(np.array([[0, 0, 4, 4], [0, 0, 4, 5]]), [1, 2], 0.5)
    assert results == " ".join(str(one.tolist()) for one in expected)
