"""make results on stand-ins of the commands: what is renewed, kept, left as it is, and measured again after a stop."""

import csv
import re

import pytest
from conftest import ROOT

from benchmarks import machine, results
from manyfaces.commands.command_line import run
from manyfaces.errors import InputError


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder whose jobs append to a log; `fail` makes the second one fail."""
    monkeypatch.chdir(tmp_path)
    write = tmp_path / "write.py"
    write.write_text("import pathlib, sys\nname, path = sys.argv[1:]\n"
                     "with open('log', 'a') as log:\n    print(name, file=log)\n"
                     "if pathlib.Path('fail').exists() and name == 'two':\n    sys.exit(3)\n"
                     "pathlib.Path(path).write_text(f'new {name}')\n")

    def job(name, paths=(), packages=()):
        return results.Job(lambda options, path: [[str(write), name, path]], lambda options: list(paths), packages)

    monkeypatch.setattr(results, "JOBS", {"one": job("one"), "two": job("two"), "far": job("far", ["nowhere"]),
                                          "alone": job("alone", packages=["no_such_package"])})
    (tmp_path / "docs/results").mkdir(parents=True)
    for name in results.JOBS:
        (tmp_path / f"docs/results/{name}.csv").write_text(f"old {name}")
    return tmp_path


def texts(place):
    return [(place / f"docs/results/{name}.csv").read_text() for name in results.JOBS]


def log(place):
    done = (place / "log").read_text().split()
    (place / "log").unlink()
    return done


def test_what_can_be_measured_is_renewed_and_the_rest_is_named(place, capsys):
    assert run(results.main, []) == 0
    out = capsys.readouterr().out
    assert texts(place) == ["new one", "new two", "old far", "old alone"] and log(place) == ["one", "two"]
    assert "one: how long it takes is not known yet" in out and "far: left as it is: there is no nowhere\n" in out
    assert "alone: left as it is: the package no_such_package is not installed (pip install no_such_package)" in out
    assert out.splitlines()[-1] == "2 renewed; 2 left as it is"
    with open(place / "docs/results/durations.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["table"] for row in rows] == ["one", "two"] and rows[0]["processor"] == machine.processor()
    # A run that was complete is not continued, and the next one knows the times.
    assert run(results.main, ["two"]) == 0 and log(place) == ["two"]
    took = rf"two: took 0:\d\d:\d\d on {re.escape(machine.processor())}, {machine.cores()} cores when"
    assert re.search(took, capsys.readouterr().out)


def test_a_run_that_failed_continues(place, capsys):
    (place / "fail").touch()
    assert run(results.main, []) == 1
    assert texts(place)[:2] == ["new one", "old two"] and log(place) == ["one", "two"]
    assert "two: failed (exit code 3); docs/results/two.csv is as it was" in capsys.readouterr().out
    (place / "fail").unlink()
    assert run(results.main, []) == 0
    assert texts(place)[:2] == ["new one", "new two"] and log(place) == ["two"]
    assert "one: measured before this run was stopped: kept" in capsys.readouterr().out


def test_other_versions_are_not_continued(place, monkeypatch):
    (place / "fail").touch()
    assert run(results.main, []) == 1 and log(place) == ["one", "two"]
    monkeypatch.setattr(machine, "version", lambda package: "99")
    assert run(results.main, []) == 1 and log(place) == ["one", "two"]


def test_a_trial_leaves_the_tables_alone(place, capsys):
    assert run(results.main, ["one", "--limit", "2"]) == 2
    assert "--limit 2 is for trials: give --out DIR" in capsys.readouterr().err
    assert run(results.main, ["one", "--limit", "2", "--out", "trial"]) == 0 and texts(place)[0] == "old one"
    assert (place / "trial/one.csv").read_text() == "new one" and not (place / "docs/results/durations.csv").exists()
    assert run(results.main, ["--list"]) == 0 and log(place) == ["one"]
    with pytest.raises(InputError, match="table 'three': expected some of one, two, far, alone"):
        results.main(["three"])


def test_the_real_commands_are_of_tools_that_exist():
    options = results.options_of(["--scrfd", "scrfd.onnx"])
    for name, job in results.JOBS.items():
        for command in job.commands(options, "x.csv"):
            assert command[0].startswith("tools/") and (ROOT / command[0]).is_file(), name
        assert "x.csv" in command and all(isinstance(path, str) for path in job.paths(options))
    assert "SCRFD=scrfd.onnx" in results.JOBS["peers"].commands(options, "x.csv")[-1]
    assert results.missing(results.JOBS["detectors"], options)[-1] == "there is no scrfd.onnx"
