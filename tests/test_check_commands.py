"""The commands that the pages name: each can be parsed by its own parser, and the quick ones run."""

import functools
import importlib
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "docs"))
check = importlib.import_module("check_commands")


@pytest.mark.parametrize("page", check.pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_can_be_parsed(page):
    assert check.problems(page.name, page.read_text(encoding="utf-8")) == []


def test_the_pages_name_commands_of_every_kind():
    """A checker that finds nothing would find no mistake either."""
    found = [command.text for page in check.pages() for command in check.commands(page.name, page.read_text("utf-8"))]
    assert len(found) > 100
    for start in ("manyfaces detect ", "tools/", "experiments/scripts/", "pip install ", "python ", "make "):
        assert any(text.startswith(start) for text in found), start


@pytest.mark.parametrize("line, wrong", [
    ("manyfaces detct photo.jpg", "there is no command manyfaces detct"),
    ("manyfaces data bild --format wider", "manyfaces data has no command ['bild']"),
    ("manyfaces detect photo.jpg --scor 0.4 --nothing", "unrecognized arguments: --nothing"),
    ("manyfaces test --images DIR", "the following arguments are required: --out"),
    ("manyfaces train --cfg ssh_vgg17", "there is no config ssh_vgg17"),
    ("manyfaces train --cfg cfgs/ssh_vgg17.yml", "there is no config cfgs/ssh_vgg17.yml"),
    ("manyfaces train --cfg ssh_vgg16 --set TRAIN.STEP 1", "unknown key TRAIN.STEP; did you mean TRAIN.STEPS?"),
    ("tools/nothing.py --help", "there is no file tools/nothing.py"),
    ("tools/flops.py --cfg ssh_vgg16 --sise 1x1", "unrecognized arguments: --sise 1x1"),
    ("tools/evaluate.py wider --gt DIR --pred DIR [--nothing N]", "unrecognized arguments: --nothing 1"),
    ("python tools/benchmark.py detectors --nothing", "unrecognized arguments: --nothing"),
    ("python -m manyfaces.none", "there is no module manyfaces.none"),
    ("python docs/none.py", "there is no file docs/none.py"),
    ("experiments/scripts/none.sh cpu", "there is no program experiments/scripts/none.sh"),
    ("make nothing", "make has no target nothing"), ("pip install '.[nothing]'", "has no extra nothing"),
    ("DATA=x manyfaces info --nothing", "unrecognized arguments: --nothing"),
    ("cd x && manyfaces nothing | head", "there is no command manyfaces nothing")])
def test_a_wrong_command_is_found(line, wrong):
    found, = check.problems("page.md", f"Text.\n\n```\n{line}\n```\n")
    assert found.startswith("page.md:4: ") and wrong in found


@pytest.mark.parametrize("text", ["`manyfaces detct x`", "`manyfaces detect --nothing`", "`tools/test.py --nothing`",
                                  "`manyfaces evaluate wider --folder`", "`make nothing`"])
def test_a_wrong_command_in_a_sentence_is_found(text):
    assert len(check.problems("page.md", f"See {text}.\n")) == 1


@pytest.mark.parametrize("text", [
    "`manyfaces detect --json`", "`manyfaces data`", "`manyfaces evaluate wider --subset`", "`make demo`",
    "```\nmanyfaces test --cfg ssh_vgg16 \\\n    --images DIR --out DIR    # a comment\nloss 0.3\n```\n",
    "```python\nfrom manyfaces import Detector\n```\n", "```text\nmanyfaces nothing\n```\n"])
def test_a_good_command_is_not_complained_about(text):
    assert check.problems("page.md", text) == []


@pytest.mark.parametrize("code, wrong", [("from manyfaces import Nothing", "manyfaces has no Nothing"),
                                         ("x = (", "line 1: "), ("from manyfaces.none import x", "has no x")])
def test_wrong_python_is_found(code, wrong):
    found, = check.problems("page.md", f"```python\n{code}\n```\n")
    assert wrong in found


def test_the_quick_commands_run_in_a_fresh_folder(tmp_path):
    run = functools.partial(check._run, sys.executable, tmp_path)
    check.make_world(tmp_path, run)
    texts = {command.text for page in check.pages() for command in check.commands(page.name, page.read_text("utf-8"))
             if not command.inline and check.QUICK.match(command.text) and not check.reason(command.text)}
    assert texts
    for text in sorted(texts):
        done = run(check.as_words(text))
        assert done.returncode == 0, f"{text}\n{done.stderr}"
    assert any((tmp_path / "faces").iterdir())
