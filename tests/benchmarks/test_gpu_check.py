"""experiments/scripts/gpu_check.sh with stand-in parts: how each ends, their limits, the table, and whose rows stay."""

import csv
import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from conftest import ROOT

from manyfaces.errors import InputError

SCRIPT = ROOT / "experiments" / "scripts" / "gpu_check.sh"
SPEC = importlib.util.spec_from_file_location("gpu_check", SCRIPT.with_suffix(".py"))
assert SPEC and SPEC.loader
gpu_check = importlib.util.module_from_spec(SPEC)
sys.modules["gpu_check"] = gpu_check  # NamedTuple looks for its module
SPEC.loader.exec_module(gpu_check)

ROWS = "open('{}.csv', 'w').write('table,row,column,value,versions,processor,cores\\nt{},r,c,1,v,p,2\\n')"


def part(name, code, seconds=20.0, **facts):
    return gpu_check.Part(name, seconds, [[sys.executable, "-S", "-c", textwrap.dedent(code)]], **facts)


@pytest.fixture
def check(tmp_path, monkeypatch):
    """check(PARTS, WORDS) runs the command line with these parts: its exit code, and the lines of the table by part."""
    monkeypatch.setattr(gpu_check, "prepare", lambda work: None)
    monkeypatch.setattr(gpu_check, "RESULTS", tmp_path / "results.csv")
    monkeypatch.setattr(gpu_check, "GRACE", 0.2)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(parts, *words):
        monkeypatch.setattr(gpu_check, "all_parts", lambda *_: parts)
        code = gpu_check.main([str(tmp_path / "out"), *words])
        lines = (tmp_path / "out" / "summary.txt").read_text().splitlines()[1:]
        return code, {line.split()[0]: " ".join(line.split()[1:]) for line in lines}

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)


def a_card(monkeypatch, name="Card X"):
    monkeypatch.setattr(gpu_check, "machine", lambda emulate: (gpu_check.Outcome("machine", "passed"), (name, "580.1")))


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_part_that_fails_hangs_or_cannot_run_leaves_the_others(check, tmp_path, monkeypatch):
    a_card(monkeypatch)
    child = tmp_path / "child"
    parts = [
        part("fine", f"print('much'); {ROWS.format('fine', 1)}; print('all 3 equal')"),
        part("broken", "import sys; print('warning: no'); print('error: 2 differ'); print('more'); sys.exit(3)"),
        part("trace", "print('so far'); raise ValueError('it is 7')"),
        part("hangs", f"""
            import signal, subprocess, sys, time
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            {ROWS.format('hangs', 2)}
            code = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
            child = subprocess.Popen([sys.executable, "-S", "-c", code])
            open({str(child)!r}, "w").write(str(child.pid))
            time.sleep(60)""", 2.0),
        part("lacking", "", modules=("json", "no_such_package")),
        part("last", "import os; print(os.environ['GPU_CHECK_SECONDS'])", 7.0)]
    code, outcomes = check(parts)
    assert code == 1
    assert outcomes["fine"].startswith("passed") and outcomes["fine"].endswith("all 3 equal")
    assert outcomes["broken"].startswith("failed") and outcomes["broken"].endswith("error: 2 differ")
    assert outcomes["trace"].startswith("failed") and outcomes["trace"].endswith("ValueError: it is 7")
    assert outcomes["hangs"].startswith("timed out") and outcomes["hangs"].endswith("after 2 s")
    assert outcomes["lacking"].startswith("not run") and "no module no_such_package:" in outcomes["lacking"]
    assert outcomes["last"].startswith("passed") and 1 < float(outcomes["last"].split()[-1]) <= 7
    ended = time.monotonic() + 10
    while Path("/proc", child.read_text(), "cmdline").exists() and time.monotonic() < ended:
        time.sleep(0.01)  # a zombie until its new parent has seen it
    assert not Path("/proc", child.read_text(), "cmdline").exists() or not Path(
        "/proc", child.read_text(), "cmdline").read_bytes()
    log = (tmp_path / "out" / "log.txt").read_text()
    assert "== fine\nmuch\nall 3 equal\n" in log and "== trace\nso far\n" in log
    assert [(row["table"], row["card"], row["driver"], row["cores"]) for row in rows(tmp_path / "out" / "gpu.csv")] == [
        ("t1", "Card X", "580.1", "2"), ("t2", "Card X", "580.1", "2")]  # also of the part that was stopped
    assert rows(tmp_path / "results.csv") == rows(tmp_path / "out" / "gpu.csv")


def test_time_for_all_parts_can_be_over(check, monkeypatch):
    a_card(monkeypatch)
    monkeypatch.setattr(gpu_check, "LEAST", 0.5)
    code, outcomes = check([part("slow", "import time; time.sleep(60)"), part("late", "")], "--minutes", "0.02")
    assert code == 1 and outcomes["slow"].endswith("after 1 s")
    assert outcomes["late"].startswith("not run") and outcomes["late"].endswith("the 0.02 minutes are over")


def test_parts_by_name(check, monkeypatch):
    a_card(monkeypatch)
    parts = [part("base", "print('b')", always=True), part("one", "print('1')"), part("two", "raise SystemExit(1)")]
    code, outcomes = check(parts, "--only", "one")
    assert code == 0 and [outcomes[name].split()[0] for name in ("base", "one")] == ["passed"] * 2
    assert outcomes["two"].endswith("not asked for")
    with pytest.raises(SystemExit) as left:
        check(parts, "--only", "three")
    assert left.value.code == 2


def test_without_a_card_only_what_needs_none_is_run(check, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))  # no nvidia-smi
    code, outcomes = check([part("base", "print('b')", card=False), part("one", "")])
    assert code == 1 and outcomes["machine"].startswith("failed") and "nvidia-smi" in outcomes["machine"]
    assert outcomes["base"].startswith("passed") and outcomes["one"].endswith("no NVIDIA card was found")


@pytest.mark.parametrize("said, note", [
    ("echo 'NVIDIA H200, 580.159.03, 143771 MiB, 9.0'", "NVIDIA H200, 580.159.03, 143771 MiB, 9.0; Python"),
    ("echo 'No devices were found'; exit 6", "finds no card: No devices were found"),
    ("exit 9", "finds no card: exit code 9")])
def test_the_card_is_what_nvidia_smi_says(said, note, check, monkeypatch, tmp_path):
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{said}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    code, outcomes = check([part("one", f"{ROWS.format('one', 1)}; print('done')")])
    assert note in outcomes["machine"] and code == ("no card" in note)
    if not code:
        assert rows(tmp_path / "results.csv")[0]["card"] == "NVIDIA H200"


def test_an_emulated_run_is_marked_and_kept_out_of_the_results(check, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    for words, variable in ((["--emulate"], "0"), ([], "1")):
        monkeypatch.setenv("GPU_CHECK_EMULATE", variable)
        say = "import os; print(os.environ['GPU_CHECK_EMULATE'])"
        code, outcomes = check([part("one", f"{ROWS.format('one', 1)}; {say}")], *words)
        assert code == 0 and outcomes["one"].endswith("1") and "emulated" in outcomes["machine"]
        assert [row["card"] for row in rows(tmp_path / "out" / "gpu.csv")] == ["none: emulated on the processor"]
    assert not (tmp_path / "results.csv").exists()


def test_new_rows_replace_those_of_the_same_table_and_card(tmp_path):
    def write(name, *values):
        with open(tmp_path / name, "w", newline="") as file:
            writer = csv.DictWriter(file, gpu_check.COLUMNS)
            writer.writeheader()
            writer.writerows({"table": table, "row": "r", "value": value, "card": card}
                             for table, card, value in values)

    write("results.csv", ("nms", "A", 1), ("ssh", "A", 2), ("nms", "B", 3))
    write("new.csv", ("nms", "A", 4))
    gpu_check.keep(tmp_path / "new.csv", tmp_path / "results.csv")
    gpu_check.keep(tmp_path / "missing.csv", tmp_path / "results.csv")
    assert [(row["table"], row["card"], row["value"]) for row in rows(tmp_path / "results.csv")] == [
        ("ssh", "A", "2"), ("nms", "B", "3"), ("nms", "A", "4")]


def test_a_signal_ends_the_part_and_leaves_the_table(check, monkeypatch):
    a_card(monkeypatch)
    stop = "import os, signal, time; os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)"
    code, outcomes = check([part("first", "print('done')"), part("second", stop), part("third", "")])
    assert code == 1 and outcomes["first"].startswith("passed")
    assert all(outcomes[name].endswith("interrupted") for name in ("second", "third"))


@pytest.mark.parametrize("words, message", [
    (["FOLDER"], "holds no train.pkl"), (["--wheels", "FOLDER"], "holds no .whl"), (["--minutes", "0"], "more than 0"),
    (["--only", "nothing"], "--only nothing: expected some of machine, build, kernels")])
def test_wrong_arguments(words, message, tmp_path):
    words = [str(tmp_path) if word == "FOLDER" else word for word in words]
    done = subprocess.run([SCRIPT, tmp_path / "out", *words], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHON": sys.executable})
    assert done.returncode == 2 and done.stderr.startswith("error: ") and message in done.stderr


def test_a_packed_folder_is_read_wherever_it_lies(toy, tmp_path, monkeypatch):
    from benchmarks.gpu.pack import pack
    from benchmarks.gpu.training import images_of
    from manyfaces.datasets import READERS, load_roidb, read_image, save_roidb

    whole = READERS["retinaface"](toy["retinaface"], toy["images"])
    save_roidb(whole, tmp_path / "toy.pkl")
    monkeypatch.setattr("benchmarks.gpu.pack.SIDE", 160)
    said = pack(tmp_path / "toy.pkl", tmp_path / "first", 0.02)
    (tmp_path / "first").rename(tmp_path / "second")
    monkeypatch.chdir(tmp_path)
    assert images_of(str(tmp_path / "second")) == "given"
    records = load_roidb("data/pickles/given.pkl").records
    assert 0 < len(records) < len(whole.records) and f": {len(records)} of 12 images" in said
    assert sum(path.stat().st_size for path in (tmp_path / "second" / "images").iterdir()) <= 0.02 * 2**20
    for record in records:
        assert read_image(record.path).shape == (record.height, record.width, 3)
        assert max(record.width, record.height) == 160
        assert len(record.boxes) == 0 or record.boxes.max() <= 160
    with pytest.raises(InputError, match="already holds a train.pkl"):
        pack(tmp_path / "toy.pkl", tmp_path / "second", 0.02)
    with pytest.raises(InputError, match="not even one image"):
        pack(tmp_path / "toy.pkl", tmp_path / "third", 0.0001)


def test_the_limits_of_the_parts_fit_into_ten_minutes(tmp_path):
    parts = gpu_check.all_parts(tmp_path, None, None, False)
    assert 20 + sum(part.seconds for part in parts[:-1]) <= 60 * gpu_check.MINUTES - 60  # the last takes what is left
    assert [part.name for part in parts] == ["build", "kernels", "nms", "scenes", "losses", "toy", "ssh", "speed"]
