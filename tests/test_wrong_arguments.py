"""Compiled functions and their twins refuse wrong arguments alike: no crash, no hang, and no error but InputError."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import wrong_arguments

from manyfaces import boxes, cascade, data_layer, nms
from manyfaces.evaluation import matching

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def outcomes():
    """[function, case, outcome of the compiled function, whether the twin's is the same] of thousands of calls."""
    run = subprocess.run([sys.executable, wrong_arguments.__file__], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, f"ended by {run.returncode} at: {run.stderr.splitlines()[-1:]}"
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_wrong_arguments_are_an_input_error_or_are_no_fault(outcomes):
    assert len(outcomes) > 4000
    assert [row for row in outcomes if not (row[2] == "returned" or row[2].startswith("InputError: "))] == []
    assert all("\n" not in row[2] and len(row[2]) < 400 for row in outcomes)


def test_a_twin_does_the_same(outcomes):
    assert [row for row in outcomes if not row[3]] == []


@pytest.mark.parametrize("name", wrong_arguments.CALLS)
def test_right_arguments_are_taken_and_most_wrong_ones_are_not(outcomes, name):
    ends = {case: text for function, case, text, _ in outcomes if function == name}
    assert ends["valid"] == "returned"
    for kind in ("None", "text", "dict", "object", "complex", "ragged", "objects", "endless"):
        assert ends[f"argument 0 {kind}"].startswith("InputError: "), kind


def test_every_compiled_function_is_called():
    """The public functions of every .pyx, read from the sources."""
    sources = [path.read_text(encoding="utf-8").splitlines() for path in (ROOT / "lib").rglob("*.pyx")]
    functions = {line[4:].split("(")[0] for lines in sources for line in lines if line.startswith("def ")}
    helpers = {"grid_table", "inside"}
    assert functions - helpers == set(wrong_arguments.CALLS)


@pytest.mark.parametrize("module", [boxes, nms, cascade, data_layer, matching])
def test_this_tests_what_is_compiled(module):
    if not module.COMPILED:
        pytest.skip(f"{module.__name__} is not compiled here")
