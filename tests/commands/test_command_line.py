import errno
import importlib.metadata
import subprocess
import sys

import pytest

from manyfaces.commands.command_line import add_set_option, argument_parser, run
from manyfaces.errors import InputError


def raising(error):
    def main(arguments):
        raise error
    return main


def test_bad_input_is_one_line_and_exit_code_2(capsys):
    assert run(raising(InputError("x.txt, line 3: expected a box"))) == 2
    assert capsys.readouterr().err == "error: x.txt, line 3: expected a box\n"


def test_interruption_is_130_and_success_0(capsys):
    assert run(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "error: interrupted\n"
    assert run(lambda arguments: None) == 0
    assert run(lambda arguments: 3 if arguments == ["a"] else 0, ["a"]) == 3


def test_a_full_disk_is_one_line_and_exit_code_1(capsys):
    assert run(raising(OSError(errno.ENOSPC, "", "weights.h5"))) == 1
    assert capsys.readouterr().err == "error: weights.h5: No space left on device\n"


def test_a_defect_of_the_program_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run(raising(ZeroDivisionError()))
    with pytest.raises(ValueError):  # InputError is a ValueError, not the other way round
        run(raising(ValueError("a wrong call inside")))


def test_the_help_ends_in_the_example():
    parser = argument_parser("Does a thing.", "\ntool --a 1 \\\n    --b 2\n")
    parser.add_argument("--a", default=7, help="the a")
    parser.add_argument("--quiet", action="store_true", help="say nothing")
    text = parser.format_help()
    assert text.endswith("example:\n  tool --a 1 \\\n      --b 2\n")
    assert "the a (default: 7)" in text and "say nothing (default" not in text


def test_every_set_adds_to_those_before_it():
    parser = argument_parser("Does a thing.", "tool")
    add_set_option(parser, ", such as thresholds")
    assert parser.parse_args([]).set == []
    words = ["--set", "A", "1", "B", "2", "--set", "C", "3"]
    assert parser.parse_args(words).set == ["A", "1", "B", "2", "C", "3"]
    assert "keys of the config to change, such as thresholds\n" in parser.format_help()


def test_an_empty_text_is_no_path(capsys):
    parser = argument_parser("Does a thing.", "tool")
    for option, metavar in (("--out", "DIR"), ("--json", "FILE"), ("--labels", "FILE|DIR"), ("--names", "A,B")):
        parser.add_argument(option, metavar=metavar)
    assert parser.parse_args(["--out", ".", "--names", ""]).names == ""
    for option in ("--out", "--json", "--labels"):
        with pytest.raises(SystemExit, match="^2$"):
            parser.parse_args([option, ""])
        assert f"argument {option}: expected a path, found an empty text" in capsys.readouterr().err


def test_a_reader_that_goes_away_leaves_no_traceback():
    code = ("import sys; from manyfaces.commands.command_line import run\n"
            "def main(arguments):\n    for i in range(100000): print('line', i)\n"
            "sys.exit(run(main))")
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141


@pytest.mark.parametrize("module, extra", [("keras", "train"), ("keras.layers", "train"), ("faster_coco_eval", "train"),
                                           ("ai_edge_litert", "litert")])
def test_a_package_of_an_extra_that_is_missing_is_one_line(module, extra, capsys, monkeypatch):
    requirements = ["numpy>=1", 'keras<4,>=3; extra == "train"', "faster-coco-eval>=1; extra == 'train'",
                    'ai-edge-litert>=1; python_version > "3" and extra == "litert"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: requirements)
    error = ModuleNotFoundError(f"No module named '{module}'", name=module)
    assert run(raising(error)) == 2
    text = f"error: the package {module} is not installed: pip install 'manyfaces[{extra}]'\n"
    assert capsys.readouterr().err == text
    monkeypatch.setattr(sys, "argv", ["/x/tools/train.py"])  # tools/_start.py has its own words
    with pytest.raises(ModuleNotFoundError):
        run(raising(error))


def test_a_module_that_no_extra_has_is_a_defect():
    with pytest.raises(ModuleNotFoundError):
        run(raising(ModuleNotFoundError("No module named 'manyfaces.none'", name="manyfaces.none")))
