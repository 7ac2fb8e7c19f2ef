#!/usr/bin/env python3
"""Check, or run, every command and Python block that README.md and the pages of docs/ name.

    python docs/check_commands.py                                    # check: seconds; a test does the same
    python docs/check_commands.py --run                              # run what needs no special machine or data
    python docs/check_commands.py --run --python VENV/bin/python     # in an installed environment

A check parses the command with its own parser: the command, its options, its config and the keys of --set exist. A run
happens in a fresh folder, which holds stand-ins for the files that the pages name: portraits, and toy scenes in the
layout of WIDER FACE. What is not run is in the table NOT_RUN, with its reason.
"""

import argparse
import ast
import contextlib
import functools
import importlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from page_commands import ROOT, Command, blocks, commands, pages

SECONDS = 900  # of one command that is run
MISSING_EXTRA = re.compile(r"pip install '(manyfaces\[\w+\])'\s*$")  # the end of the package's own message
# A pattern of a command or of Python code -> why it is not run.
NOT_RUN = {
    r"\[(--|DIR)| DIR\b| FILE\b| FOLDER\b|(?<!--set )\bNAME\b":
        "a pattern, not a command: words in capitals are the reader's own",
    r"^(pip|make|cd|git) ": "changes the environment or the working copy",
    r"^tools/(benchmark|fuzz|compare|frontier|results|record_run)\.py|^python -m benchmarks":
        "of the working copy, not of the package",
    r"^(\w+=\S+ )*experiments/": "of the working copy, not of the package; they call the commands that are run here",
    r"data fetch|NET\.WEIGHTS imagenet": "needs a network",
    r"--devices|\bGPU\b": "needs several GPUs",
    r"--images photos/ --labels annotations/": "needs annotated photographs of the reader",
    r"^manyfaces (train|data samples|ship)|^python own\.py|(samples|ship|train)\.py|Trainer\(":
        "trains, or needs a training",
    r"manyfaces serve|127\.0\.0\.1:8000|docker": "runs until it is stopped, or needs such a service",
    r"^manyfaces bulk|tools/bulk": "needs pyarrow or Ray, and many photographs",
    r"^manyfaces web": "fetches a runtime by npm, or serves until it is stopped: tests/web runs it",
    r"^manyfaces import|import_weights\.py": "needs the weights of another framework",
    r"output/(?!ssh\.onnx|pred\b|events)|--weights (output|data)|yunet|retinaface|load\(.output":
        "needs a training, or a file of another project",
    r"\.\./shared|facemask|fddb|landmarks|RefBox|crowds?\b|wider_select|A/|results\.json|output/\w+\.json":
        "needs a data set that has no stand-in here",
    r"\"ss[hd]\.(json|xml|tflite)|saved_model\.load|^cells = ": "reads a model that has to be exported first",
    r"\b[0-9] --frames|cv2\.VideoCapture": "needs a camera",
    r"--int8": "minutes, and the extra `export`",
    r"centres|register_|own\.": "a part of a longer text: tests/nets/test_registry.py runs it",
}
QUICK = re.compile(r"manyfaces (detect photo|info|data toy)")  # what the test runs, too
PROGRAMS = ("cat", "cd", "curl", "git", "head", "mkdir", "tail")  # whose arguments are not checked
OWN = {"own.py": "manyfaces"}  # a program of docs/own_family.md that takes the commands of manyfaces


# ------------------------------------------------------------------ checking


def problem(command: Command) -> str:
    """What is wrong with a command; empty for nothing."""
    optional = re.sub(r"\[(--[^\]]*)\]", r"\1", command.text)  # [--json FILE]
    words = ["1" if word == "N" else word for word in shlex.split(optional) if word != "..."]
    while words and re.fullmatch(r"\w+=.*", words[0]):
        words.pop(0)
    if not words:
        return ""
    program, *rest = words
    if re.fullmatch(r"\S*python3?", program):
        if rest[:1] == ["-m"]:
            program, *rest = rest[1:]
            if program != "manyfaces":
                return "" if importlib.util.find_spec(program) else f"there is no module {program}"
        elif rest and not rest[0].startswith("-"):
            program, *rest = rest
            if program in OWN:
                program = OWN[program]
            elif not (ROOT / program).is_file():
                return f"there is no file {program}"
            elif not program.startswith("tools/"):
                return ""
        else:
            return ""
    if program == "manyfaces":
        return _of_manyfaces(rest, command.inline)
    if match := re.fullmatch(r"(?:\.\./)*tools/(\w+)\.py", program):
        return _of_tool(match[1], rest, command.inline)
    if program.startswith("experiments/"):
        return "" if os.access(ROOT / program, os.X_OK) else f"there is no program {program}"
    if program == "make":
        return _of_make(rest)
    if program == "pip":
        return _of_pip(rest)
    return "" if program in PROGRAMS else f"{program}: expected a program that docs/check_commands.py knows"


def _of_manyfaces(words, inline):
    from manyfaces.commands import COMMANDS
    from manyfaces.commands.main import main

    name = " ".join(words[:2]) if " ".join(words[:2]) in COMMANDS else " ".join(words[:1])
    if name not in COMMANDS:
        if name in ("--help", "--version", "COMMAND"):
            return ""
        return f"there is no command manyfaces {name}"
    if not COMMANDS[name].module:
        rest = words[1:]
        return "" if inline and not rest or rest == ["--help"] else f"manyfaces {name} has no command {rest[:1]}"
    return _parsed(main, words, words[len(name.split()):], inline)


def _of_tool(name, words, inline):
    path = ROOT / "tools" / f"{name}.py"
    if not path.is_file():
        return f"there is no file tools/{name}.py"
    module = re.search(r"^from ([\w.]+) import main", path.read_text(encoding="utf-8"), re.MULTILINE)[1]
    return _parsed(importlib.import_module(module).main, words, words, inline)


class _Parsed(Exception):  # noqa: N818 - no error
    """Ends a command when its parser has read the arguments."""


def _parsed(main, arguments, own, inline):
    """Read the arguments by the command's own parser; `own`: those of the command itself."""
    from manyfaces.commands import command_line

    read, parsers, options = argparse.ArgumentParser.parse_args, [], []

    def parse_args(parser, words=None, namespace=None):
        parsers.append(parser)
        if not inline:
            options.append(read(parser, words, namespace))
        raise _Parsed

    command_line._Parser.parse_args, said = parse_args, io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            main(arguments)
    except _Parsed:
        pass
    except SystemExit as end:
        return "" if not end.code else said.getvalue().strip().splitlines()[-1]
    finally:
        del command_line._Parser.parse_args
    if inline:
        return _unknown_option(parsers[-1], own)
    return _wrong_values(options[-1])


def _unknown_option(parser, words):
    known = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            chosen = [word for word in words if word in action.choices]
            for choice in chosen or action.choices:
                known |= set(action.choices[choice]._option_string_actions)
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in known]
    return f"unknown option {unknown[0]}" if unknown else ""


def _wrong_values(options):
    """A config that is nowhere, and keys of --set that do not exist."""
    from manyfaces.config import load_config, names
    from manyfaces.errors import InputError

    configs = getattr(options, "cfg", None) or []
    for cfg in [configs] if isinstance(configs, str) else configs:
        if cfg not in names() and cfg.startswith("cfgs/") and not (ROOT / cfg).is_file() and "mine" not in cfg:
            return f"there is no config {cfg}"
        if "/" not in cfg and not cfg.endswith(".yml") and cfg not in names() and not cfg.isupper():
            return f"there is no config {cfg}"
    try:
        load_config(overrides=[word for word in getattr(options, "set", [])])
    except InputError as error:
        return str(error)
    return ""


def _of_make(words):
    targets = re.findall(r"^([\w-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    asked = [word for word in words if "=" not in word and not word.startswith("-") and not word.isupper()]
    wrong = [word for word in asked if word not in targets]
    return f"make has no target {wrong[0]}" if wrong else ""


def _of_pip(words):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for word in words:
        if match := re.fullmatch(r"(?:\.|manyfaces)\[(.+)\]", word):
            wrong = [extra for extra in match[1].split(",") if extra not in project["optional-dependencies"]]
            if wrong:
                return f"pyproject.toml has no extra {wrong[0]}"
    return ""


def python_problem(code: str) -> str:
    """What is wrong with a block of Python: its syntax, or a name that the package does not have."""
    if "..." in code and not code.strip().startswith("import"):
        code = code.replace("...", "None")
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "manyfaces":
            for alias in node.names:
                if not _has(node.module, alias.name):
                    return f"{node.module} has no {alias.name}"
    return ""


def _has(module, name):
    with contextlib.suppress(ModuleNotFoundError):
        if hasattr(importlib.import_module(module), name):
            return True
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module(f"{module}.{name}")
        return True
    return False


def problems(page: str, text: str) -> list[str]:
    """A line per command or Python block of a page that cannot work."""
    found = [f"{command}\n    {wrong}" for command in commands(page, text) if (wrong := problem(command))]
    for line, language, content in blocks(text):
        if language == "python" and (wrong := python_problem(content)):
            found.append(f"{page}:{line}: Python block\n    {wrong}")
    return found


# ------------------------------------------------------------------- running


def reason(text: str) -> str:
    """Why a command or a Python block is not run; empty: it is."""
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, text)), "")


def make_world(folder: Path, run: functools.partial) -> None:
    """Fill a fresh folder with stand-ins for the files that the pages name."""
    run(["-c", "import cv2\nfrom manyfaces.datasets.toy.portraits import portraits\nimport os\nos.mkdir('holiday')\n"
         "for name, portrait in zip(('photo.jpg', 'holiday/a.jpg'), portraits()):\n"
         "    cv2.imwrite(name, portrait.image[..., ::-1])\n"], check=True)
    run(["-m", "manyfaces", "data", "toy", "--out", "toy", "--images", "6"], check=True)
    toy, data = folder / "toy", folder / "data"
    for part in ("WIDER_train", "WIDER_val"):
        shutil.copytree(toy / "WIDER_toy", data / "wider" / part)
    for place in ("wider/ground_truth", "wider_eval/ground_truth"):
        shutil.copytree(toy / "ground_truth", data / place)
    for place in (data / "wider_face_split", data / "wider" / "wider_face_split"):
        place.mkdir(parents=True)
        for part in ("train", "val"):
            shutil.copy(toy / "wider_face_split" / "wider_face_toy_bbx_gt.txt", place / f"wider_face_{part}_bbx_gt.txt")
            shutil.copy(toy / "ground_truth" / "wider_face_val.mat", place / f"wider_face_{part}.mat")
        first = next((data / "wider" / "WIDER_train" / "images").rglob("*.jpg"))
        (place / "train_minival.txt").write_text(f"{first.parent.name}/{first.name}\n", encoding="utf-8")
    shutil.copytree(data / "wider" / "WIDER_val", data / "WIDER_val")
    shutil.copytree(data / "wider" / "WIDER_train", data / "WIDER_train")
    run(["-m", "manyfaces", "test", "--cfg", "ssh_mobilenet_v1_025", "--images", "data/WIDER_val/images", "--out",
         "output/pred"], check=True)


def as_words(text: str) -> list[str]:
    """The arguments for Python that run a command of a page in an installed environment."""
    from manyfaces.commands import COMMANDS

    words = shlex.split(text)
    if match := re.fullmatch(r"(?:\.\./)*tools/(\w+)\.py", words[0]):
        names = [name for name, command in COMMANDS.items() if command.tool == match[1] and command.function == "main"]
        words[:1] = ["manyfaces", *names[0].split()]
    return ["-m", *(re.sub(r"^cfgs/(\w+)\.yml$", r"\1", word) for word in words)]


def run_all(python: str, only: str = "") -> int:
    """Run the commands and Python blocks in the order of the pages; the number of those that failed.

    Args:
        python: an interpreter with the package.
        only: a pattern; what it does not match is left out without a word.
    """
    counts = {"done": 0, "not run": 0, "failed": 0}
    with tempfile.TemporaryDirectory() as name:
        run = functools.partial(_run, python, Path(name))
        make_world(Path(name), run)
        for page in pages():
            text = page.read_text(encoding="utf-8")
            todo = [(command.line, command.text, None) for command in commands(page.name, text) if not command.inline]
            todo += [(line, code, ["-c", code]) for line, language, code in blocks(text) if language == "python"]
            for line, what, words in sorted(todo, key=lambda each: each[0]):
                if only and not re.search(only, what):
                    continue
                title = f"{page.relative_to(ROOT)}:{line}: {' '.join(what.split())[:100]}"
                if why := reason(what):
                    counts["not run"] += 1
                    print(f"not run  {title}\n         {why}", flush=True)
                    continue
                began = time.perf_counter()
                done = run(words or as_words(what))
                if done.returncode and (extra := MISSING_EXTRA.search(done.stderr)):
                    counts["not run"] += 1
                    print(f"not run  {title}\n         needs {extra[1]}, which this environment lacks", flush=True)
                    continue
                counts["failed" if done.returncode else "done"] += 1
                print(f"{'FAILED ' if done.returncode else 'done   '}  {title} ({time.perf_counter() - began:.1f} s)",
                      flush=True)
                if done.returncode:
                    print("         " + "\n         ".join((done.stdout + done.stderr).strip().splitlines()[-12:]))
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    return counts["failed"]


def _run(python, folder, words, check=False):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    return subprocess.run([python, *words], cwd=folder, env=environment, text=True, capture_output=True, check=check,
                          timeout=SECONDS)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", action="store_true", help="run the commands, in a fresh folder")
    parser.add_argument("--python", default=sys.executable, help="interpreter with the package (default: this one)")
    parser.add_argument("--only", default="", metavar="PATTERN", help="with --run: only what matches it")
    options = parser.parse_args()
    found = [line for page in pages() for line in problems(str(page.relative_to(ROOT)), page.read_text("utf-8"))]
    print("\n".join(found) or "every command can be parsed by its own parser")
    return bool(found) or bool(options.run and run_all(options.python, options.only))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # for benchmarks/
    sys.exit(main())
