import os
import subprocess
import sys

import pytest

from manyfaces.commands.command_line import run
from manyfaces.datasets import load_roidb


@pytest.fixture
def build(tool, capsys):
    def call(*arguments):
        code = run(tool("build_roidb").main, list(map(str, arguments)))
        return code, *capsys.readouterr()
    return call


def test_lists_and_attributes_shape_the_roidb(toy, build, tmp_path):
    names = tmp_path / "some.txt"
    names.write_text("0--Toy/0_Toy_00002.jpg\r\n0--Toy/0_Toy_00004\n\n")
    source = ("--format", "retinaface", "--images", toy["images"], "--labels", toy["retinaface"])
    assert build(*source, "--out", tmp_path / "a.pkl", "--only", names)[0] == 0
    code, out, _ = build(*source, "--out", tmp_path / "b.pkl", "--without", names, "--attributes", toy["labels"])
    assert code == 0 and "attributes " in out and "0 faces unmatched" in out
    a, b = load_roidb(tmp_path / "a.pkl").records, load_roidb(tmp_path / "b.pkl").records
    assert [r.name for r in a] == ["0--Toy/0_Toy_00002", "0--Toy/0_Toy_00004"] and len(b) == 10
    assert not {r.name for r in a} & {r.name for r in b}
    assert "blur" in b[0].attributes and "blur" not in a[0].attributes
    assert os.path.isabs(a[0].root) and os.path.isfile(a[0].path) and a[0].width == 320


def test_bad_input_is_one_line_and_writes_nothing(toy, build, tmp_path):
    out = tmp_path / "x.pkl"
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("0--Toy/0_Toy_00000.jpg\n1\n1 2 three 4\n")
    names = tmp_path / "names.txt"
    names.write_text("0--Toy/nobody\n")
    labels = ("--format", "wider", "--labels", toy["labels"])
    letters = ("--format", "wider", "--labels", wrong, "--images", toy["images"])
    for arguments, message in [
            (letters, "wrong.txt, line 3: expected numbers"),
            ((*labels, "--images", toy["images"], "--only", names), "the first is '0--Toy/nobody'"),
            ((*labels, "--images", tmp_path), "12 of 12 images listed"), (labels, "--out needs --images")]:
        code, _, err = build(*arguments, "--out", out)
        assert code == 2 and err.startswith("error: ") and message in err and err.count("\n") == 1
        assert not out.exists()
    code, text, _ = build(*labels, "--images", tmp_path, "--missing", "skip")
    assert code == 0 and "12   images missing" in text


def test_the_program_itself_exits_2_without_a_traceback(tmp_path):
    path = os.path.join(os.path.dirname(__file__), "..", "..", "tools", "build_roidb.py")
    done = subprocess.run([sys.executable, path, "--format", "wider", "--labels", str(tmp_path / "absent.mat")],
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {tmp_path / 'absent.mat'}: no such file\n"


def test_the_roidb_is_written_before_the_table_that_nobody_may_read(toy, tmp_path):
    path = os.path.join(os.path.dirname(__file__), "..", "..", "tools", "build_roidb.py")
    read, write = os.pipe()
    os.close(read)  # as with `| head`, but at once
    done = subprocess.run([sys.executable, path, "--format", "retinaface", "--labels", str(toy["retinaface"]),
                           "--images", str(toy["images"]), "--out", str(tmp_path / "a.pkl")],
                          stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.returncode == 141 and done.stderr == ""
    assert len(load_roidb(tmp_path / "a.pkl")) == 12


def test_an_empty_list_keeps_no_image(toy, build, tmp_path):
    (tmp_path / "none.txt").write_text("\n")
    code, out, _ = build("--format", "wider", "--labels", toy["labels"], "--only", tmp_path / "none.txt")
    assert code == 0 and "images          0" in out
