"""The fuzz in its short form; and the fuzz itself: it sees each kind of defect, and makes every input again."""

import csv
import ctypes
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import wrong_arguments
from conftest import ROOT

from benchmarks.fuzz import main, watch
from benchmarks.fuzz.functions import Call
from benchmarks.fuzz.functions import targets as functions
from benchmarks.fuzz.main import groups, jobs, table
from benchmarks.fuzz.readers import targets as readers
from benchmarks.fuzz.target import Target, same
from manyfaces.errors import InputError

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the fuzz runs on Linux only")


@pytest.mark.slow
def test_some_hundred_inputs_are_read_or_refused():
    done = subprocess.run([sys.executable, ROOT / "tools" / "fuzz.py", "--count", "400", "--seed", "16"],
                          capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[0].split()[:4] == ["inputs", "number", "read", "refused"]


def test_the_page_has_the_counts_of_the_table():
    with open(ROOT / "docs" / "results" / "fuzz.csv", newline="") as file:
        rows = list(csv.reader(file))
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    for row in rows:
        assert "| " + " | ".join(f"{int(cell):,}" if cell.isdigit() else cell for cell in row) + " |" in page
    whole = dict(zip(rows[0], rows[-1], strict=True))
    assert whole["inputs"] == "all" and int(whole["read"]) + int(whole["refused"]) == int(whole["number"])


class Numbered(Target):
    """The file holds the number of the input."""

    def damaged(self, rng, sound):
        self.count = getattr(self, "count", -1) + 1
        return {"a": b"%d" % self.count}


def numbered(read, **options):
    """A target whose sound input is -1."""
    return Numbered("x", "fake", 1, lambda: {"a": b"-1"}, lambda folder: read(int((folder / "a").read_text())),
                    **options)


def how(tmp_path, read, count=1, **options):
    """How the inputs 0, 1, ... of a reader end."""
    target = numbered(read, **options)
    return [(ended.number, ended.how) for ended in watch.run([watch.Job(target, range(count))], 0, tmp_path)]


def only(bad, what):
    """A reader that does something with one number and returns the others."""
    return lambda number: what() if number == bad else number


def raises(error):
    def read():
        raise error
    return read


def says(text):
    """An InputError with this text as it stands."""
    error = InputError()
    error.args = (text,)
    return error


def spin():
    while True:
        pass


def test_each_kind_of_end_is_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "SECONDS", 0.2)
    for what, expected in ((lambda: 0, "read"), (raises(InputError("no")), "refused"),
                           (raises(InputError()), "message"), (raises(says("two\nlines")), "message"),
                           (raises(says("x" * 1001)), "message"), (raises(KeyError("a")), "traceback"),
                           (raises(SystemExit(0)), "traceback"),
                           (raises(MemoryError()), "memory"), (lambda: float("nan"), "wrong"), (spin, "hang"),
                           (lambda: ctypes.string_at(0), "crash"), (lambda: os._exit(0), "crash")):
        assert how(tmp_path, only(0, what)) == [(0, expected)]


def test_time_is_processor_time(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "SECONDS", 0.2)
    [ended] = watch.run([watch.Job(numbered(only(0, spin)), [0])], 0, tmp_path)
    assert (ended.how, ended.note) == ("hang", "more than 0.2 s")
    assert how(tmp_path, only(0, lambda: time.sleep(0.5) or 0)) == [(0, "read")]


def test_what_waits_for_ever_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "WALL", 0.5)
    assert how(tmp_path, only(0, lambda: time.sleep(600))) == [(0, "hang")]


def test_growth_of_memory_counts_from_the_input_on(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "MEGABYTES", 40)
    found = how(tmp_path, lambda number: float(np.ones(10_000_000).sum()) if number in (1, 2) else number, 4)
    assert found == [(0, "read"), (1, "memory"), (2, "memory"), (3, "read")]  # the second as much as the first


def test_after_a_crash_the_next_inputs_are_run(tmp_path):
    found = how(tmp_path, only(0, lambda: os.abort()), 4)
    # The child counts from 0 again after each crash.
    assert found == [(0, "crash"), (1, "crash"), (2, "crash"), (3, "crash")]


def test_a_value_that_differs_is_wrong_where_there_is_a_checksum(tmp_path):
    assert how(tmp_path, only(0, lambda: 5), exact=True) == [(0, "wrong")]
    assert how(tmp_path, only(0, lambda: -1), exact=True) == [(0, "read")]
    assert how(tmp_path, only(0, lambda: 5), check=lambda value: "five" if value == 5 else None) == [(0, "wrong")]


@pytest.mark.parametrize("one, other, equal", [
    (np.ones(3), np.ones(3), True), (np.array([np.nan]), np.array([np.nan]), True), (float("nan"), float("nan"), True),
    (np.ones((2, 3)), np.ones((3, 2)), False), (np.ones(1), np.ones(3), False), (np.ones(3), np.ones(3, "f4"), False),
    (np.ones(1), [1.0], False), (1, 1.0, False), (1, True, False), ([[1], [2]], [[1, 2], []], False),
    ({"a": [1]}, {"a": [1]}, True), ({"a": 1}, {"b": 1}, False)])
def test_values_are_compared_in_full(one, other, equal):
    assert same(one, other) == equal


def test_a_defect_is_kept_and_gives_the_exit_code(tmp_path, monkeypatch, capfd):
    def start():
        main.main(["--count", "3", "--out", str(tmp_path / "out"), "--csv", str(tmp_path / "table.csv")])

    monkeypatch.setattr(main.functions, "targets", list)
    monkeypatch.setattr(main.readers, "targets", lambda: [numbered(only(1, raises(KeyError("a"))))])
    with pytest.raises(SystemExit, match="1"):
        start()
    assert "traceback: x, 1x, first 1: KeyError" in capfd.readouterr().out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x-1"]
    assert "KeyError" in (tmp_path / "out/x-1/ended.txt").read_text()
    assert (tmp_path / "table.csv").read_text().splitlines()[-1] == "all,3,2,0,1,0,0,0,0,0"
    monkeypatch.setattr(main.readers, "targets", lambda: [numbered(lambda number: number)])
    start()


def test_a_target_that_does_not_read_its_sound_input_is_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="x: its sound input ends in: InputError: no"):
        how(tmp_path, only(-1, raises(InputError("no"))))


def test_a_function_and_its_twin_are_compared(tmp_path):
    def ends_of(compiled, twin):
        call = Call("f", compiled, twin, lambda rng: {"a": np.ones(3)})
        call.damaged = lambda rng, sound: {"a": np.ones(3)}
        return [ended.how for ended in watch.run([watch.Job(call, [0])], 0, tmp_path)]

    assert ends_of(lambda a: a + 1, lambda a: a + 1) == ["read"]
    assert ends_of(lambda a: a + 1, lambda a: a + 1 + 1e-15) == ["wrong"]
    assert ends_of(lambda a: a, lambda a: int("x")) == ["wrong"]
    assert ends_of(lambda a: int("x"), lambda a: a) == ["refused"]
    assert ends_of(lambda a: {}["x"], lambda a: a) == ["traceback"]


@pytest.mark.parametrize("target", [t for t in [*readers(), *functions()] if ".h5" not in t.name], ids=lambda t: t.name)
def test_an_input_is_made_again_from_seed_name_and_number(target):
    sound = target.make()
    first, again, other = ([target.damaged(watch.generator(seed, target, number), sound) for number in range(6)]
                           for seed in (0, 0, 1))
    assert all(map(same, first, again)) and not all(map(same, first, other))


def test_every_compiled_function_gets_inputs():
    of_its_own = {"parse_faces"}  # the target "prediction text, twice"
    assert {call.name for call in functions()} | of_its_own == set(wrong_arguments.CALLS)


def test_all_inputs_are_shared_out_and_counted():
    chosen = [*readers(), *functions()]
    shared = jobs(chosen, 20_000)
    numbers = {target.name: [n for job in shared if job.target is target for n in job.numbers] for target in chosen}
    assert all(found == list(range(len(found))) and found for found in numbers.values())
    assert len(numbers) == len(chosen) and abs(sum(map(len, numbers.values())) - 20_000) < len(chosen)
    one, two = chosen[0], chosen[-1]
    found = [watch.Ended(one, 0, "read"), *(watch.Ended(two, number, "crash", "SIGSEGV") for number in (0, 4))]
    header, rows = table(found)
    assert dict(zip(header, rows[-1], strict=True)) == (
        dict.fromkeys(header, 0) | {"inputs": "all", "number": 3, "read": 1, "crash": 2})
    assert groups(found) == [f"crash: {two.name}, 2x, first 0: SIGSEGV"]
