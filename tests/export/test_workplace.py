"""Where an export is made: beside its place, by one process, and without what a killed one left."""

import os
import subprocess
import sys

import pytest

from manyfaces.errors import InputError
from manyfaces.export.files import move, workplace
from manyfaces.files import remove_parts


def test_what_a_killed_export_left_is_removed(tmp_path):
    path = tmp_path / "deep" / "m.onnx"
    code = ("import os, pathlib, signal, sys; from manyfaces.export.files import workplace\n"
            "with workplace(pathlib.Path(sys.argv[1])) as folder:\n"
            "    (folder / 'm.onnx').write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)")
    assert subprocess.run([sys.executable, "-c", code, path]).returncode == -9
    assert sorted(os.listdir(path.parent)) == [".m.onnx.lock", ".m.onnx.part"]
    with workplace(path) as folder:
        assert os.listdir(folder) == []
        (folder / path.name).write_bytes(b"whole")
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
        assert f"process {os.getpid()} on " in done.stderr and "or choose another --out" in done.stderr
        move(folder / path.name, path)
    assert os.listdir(path.parent) == ["m.onnx"] and path.read_bytes() == b"whole"
    with pytest.raises(InputError), workplace(path) as folder:
        (folder / path.name).write_bytes(b"of no use")
        raise InputError
    assert os.listdir(path.parent) == ["m.onnx"] and path.read_bytes() == b"whole"


def test_a_name_of_255_bytes_has_a_workplace_that_a_training_beside_it_leaves_alone(tmp_path):
    path = tmp_path / ("ä" * 125 + ".onnx")
    with workplace(path) as folder:
        (folder / path.name).write_bytes(b"whole")
        remove_parts(tmp_path)
        move(folder / path.name, path)
    assert os.listdir(tmp_path) == [path.name] and path.read_bytes() == b"whole"


def test_a_folder_replaces_a_folder(tmp_path):
    path = tmp_path / "saved"
    for content in ("first", "second"):
        with workplace(path) as folder:
            (folder / path.name).mkdir()
            (folder / path.name / content).write_text(content)
            move(folder / path.name, path)
        assert os.listdir(path) == [content] and os.listdir(tmp_path) == ["saved"]
