"""experiments/scripts/build_roidbs.sh: which roidbs it builds from the folders that are there."""

import os
import re
import shutil
import subprocess

import pytest
from conftest import ROOT


@pytest.fixture
def build(tmp_path):
    """build(path, ...) makes files, or folders where a path ends with /, and runs the script: (code, calls, stderr)."""
    scripts = tmp_path / "experiments/scripts"
    scripts.mkdir(parents=True)
    shutil.copy(ROOT / "experiments/scripts/build_roidbs.sh", scripts)

    def run(*paths):
        for path in paths:
            place = tmp_path / "data" / path
            (place if path.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
            if not path.endswith("/"):
                place.write_text("".join(f"{number}.jpg 1 2 3 4\n" for number in range(20)))
        done = subprocess.run([scripts / "build_roidbs.sh"], capture_output=True, text=True,
                              env={**os.environ, "PYTHON": "echo"})
        calls = re.findall(r"--out data/pickles/(\w+)\.pkl (.*)", done.stdout)
        return done.returncode, dict(calls), done.stderr

    return run


@pytest.mark.parametrize("paths, names", [
    (["wider/WIDER_train/images/"], ["wider"]),
    (["wider/WIDER_train/images/", "wider/wider_face_split/train_minival.txt"], ["wider_train", "wider_select"]),
    (["wider/WIDER_val/images/"], ["wider_val"]),
    (["facemask/images/"], ["facemask"]),
    (["facemask/images/", "facemask/train.txt"], ["facemask_train", "facemask_select", "facemask_val"]),
    (["wider_crowd/"], ["wider_crowd"]),
    (["wider_more/"], ["wider_more"]),
    (["landmarks/trainImageList.txt"], ["landmarks_train", "landmarks_select", "landmarks_test"]),
])
def test_each_folder_alone_is_enough(build, paths, names):
    code, calls, error = build(*paths)
    assert (code, list(calls), error) == (0, names, "")
    for name, options in calls.items():
        assert ("--split 0.9" in options) == (name in ("wider", "facemask", "wider_more"))
        assert ("--without" in options) == name.endswith("_train")
        assert not name.endswith("_select") or "--only" in options


def test_an_empty_folder_is_an_error(build):
    code, calls, error = build("other/")
    assert (code, calls) == (2, {})
    assert re.match(r"error: data: has none of the folders that --help names\. 'manyfaces data fetch wider ", error)
