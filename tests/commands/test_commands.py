"""`manyfaces COMMAND`: its table, its help, what it says of a wrong command, and how commands are named."""

import importlib
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from manyfaces import __version__, compiled
from manyfaces.commands import COMMANDS, info
from manyfaces.commands.command_line import as_called
from manyfaces.commands.main import entry, main
from manyfaces.errors import InputError

RUNNABLE = [name for name, command in COMMANDS.items() if command.module]


def python(*words, **more):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, **more)


def test_the_help_lists_every_command_and_loads_neither_numpy_nor_opencv():
    done = python("-c", "import sys\nfrom manyfaces.commands.main import main\nmain(['--help'])\nmain(['data', '-h'])\n"
                  "print(sorted({'numpy', 'cv2', 'yaml', 'keras', 'argparse'} & set(sys.modules)), file=sys.stderr)")
    assert done.stderr == "['argparse']\n"
    listed = re.findall(r"^  ([a-z-]+)  +\S", done.stdout, re.MULTILINE)
    assert sorted(listed) == sorted(name.split()[-1] for name in COMMANDS)


def test_the_module_and_the_script_of_the_package_are_this_program():
    done = python("-m", "manyfaces", "--version", cwd="/")
    assert (done.returncode, done.stdout) == (0, f"manyfaces {__version__}\n")
    script = re.search(r'^manyfaces = "(.+):(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert getattr(importlib.import_module(script[1]), script[2]) is entry


@pytest.mark.parametrize("name", RUNNABLE)
def test_every_command_has_help_with_an_example_that_calls_it(name, capsys):
    with pytest.raises(SystemExit) as end:
        main([*name.split(), "--help"])
    text = capsys.readouterr().out
    assert end.value.code == 0 and text.startswith(f"usage: manyfaces {name} ")
    assert f"  manyfaces {name}" in text.split("example:\n")[1] and "tools/" not in text
    options = re.split(r"\n(?=  \S)", text.split("example:\n")[0])
    assert [option for option in options if option.count("(default") > 1] == []


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.tool])
def test_a_tool_calls_the_function_of_its_command(name):
    """tools/demo.py is the demo: it needs no SOURCE."""
    command, source = COMMANDS[name], (ROOT / "tools" / f"{COMMANDS[name].tool}.py").read_text()
    assert f"from manyfaces.commands.{command.module} import main\n" in source
    assert command.function == "main" or name == "detect"


@pytest.mark.parametrize("words, message", [
    (["trian"], "manyfaces: no command 'trian'; did you mean train?"),
    (["data", "buid"], "manyfaces data: no command 'buid'; did you mean build?"),
    (["make_toy"], "manyfaces: no command 'make_toy'; did you mean data toy?"),
    (["zzz"], "manyfaces: no command 'zzz'; there are: detect, demo, bulk, "),
    (["--cfg", "x"], "manyfaces: no command '--cfg'; there are: ")])
def test_a_wrong_command_names_the_one_that_is_meant(words, message):
    with pytest.raises(InputError) as error:
        main(words)
    assert str(error.value).startswith(message)


def test_no_command_is_an_error_that_shows_them(capsys):
    assert main([]) == 2 and main(["data"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("usage: manyfaces COMMAND ...\n")


def test_an_error_names_commands_as_the_program_was_called(monkeypatch, tmp_path):
    text = "x: build it with `manyfaces data build`, manyfaces train-it, from manyfaces import Detector"
    assert as_called(text) == text
    words = ["evaluate", "roidb", "--pred", tmp_path, "--roidb", tmp_path / "none.pkl"]
    assert "build it with `manyfaces data build`" in python("-m", "manyfaces", *words).stderr
    assert "build it with `tools/build_roidb.py`" in python(ROOT / "tools/evaluate.py", *words[1:]).stderr
    monkeypatch.setattr(sys, "argv", ["/any/where/tools/train.py"])
    assert as_called(text) == text.replace("manyfaces data build", "tools/build_roidb.py")
    monkeypatch.setattr(sys, "argv", ["tools/mine/train.py"])
    assert as_called(text) == text


def test_info_prints_what_a_bug_report_needs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MANYFACES_MAX_FILE_PIXELS", "1000000")
    monkeypatch.setenv("MY_SECRET", "x")
    (tmp_path / "data").mkdir()
    main(["info", "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert facts["manyfaces"] == __version__ and facts["packages"]["numpy"] == np.__version__
    assert facts["python"].startswith(".".join(map(str, sys.version_info[:3])))
    assert facts["configs"] == sorted(path.stem for path in (ROOT / "cfgs").glob("*.yml"))
    assert facts["data"] == str(tmp_path / "data") and facts["output"] == f"{tmp_path / 'output'} (not there)"
    assert facts["environment"]["MANYFACES_MAX_FILE_PIXELS"] == "1000000" and "MY_SECRET" not in facts["environment"]
    assert set(facts["runtimes"]) <= {"onnxruntime", "openvino", "litert", "keras"}
    main(["info"])
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert lines["packages"].startswith(f"numpy {np.__version__}")
    assert lines["manyfaces"] == __version__


def test_info_loads_no_keras_and_tells_which_modules_are_not_compiled(monkeypatch):
    sources = {".".join(path.relative_to(ROOT / "lib").with_suffix("").parts) for path in (ROOT / "lib").rglob("*.pyx")}
    assert set(compiled.MODULES) == sources
    done = python("-c", "import sys\nfrom manyfaces.commands.main import main\nmain(['info'])\n"
                  "print({'keras', 'tensorflow', 'openvino', 'onnxruntime'} & set(sys.modules), file=sys.stderr)")
    assert done.stderr == "set()\n"
    monkeypatch.setattr(compiled, "MODULES", ("boxes.reference", "boxes.none"))
    assert list(compiled.not_compiled()) == ["boxes.none"]


def test_an_info_outside_linux_has_no_traceback(monkeypatch):
    monkeypatch.setattr(info.Path, "read_text", raising_os_error)
    monkeypatch.delattr(info.os, "sysconf")
    monkeypatch.setattr(info.shutil, "which", lambda name: "/none/nvidia-smi")
    assert (info._memory(), info._gpus()) == ("unknown", ["nvidia-smi does not answer"])
    assert info._processor() == info.platform.processor()


def raising_os_error(*arguments, **options):
    raise OSError
