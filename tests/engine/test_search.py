"""The search: what its words mean, a study that survives kills, and trials that are pruned or fail."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest
from conftest import ROOT
from tiny_training import SETTINGS, rows, write_scenes

from manyfaces.config import load_config
from manyfaces.engine.search.space import Axis, read_space
from manyfaces.engine.search.trial import training
from manyfaces.errors import InputError

CFG = load_config()


def test_words_name_keys_and_ranges():
    axes = read_space(["TRAIN.RATE=log:1e-4:1e-2", "TRAIN.EMA=float:0.5:0.9", "TRAIN.BATCH=int:4:8",
                       "LOSS.BOX=choice:diou,smooth_l1", "AUGMENT.SIZES=choice:[320, 640],[256],[]"], CFG)
    assert axes[:3] == [Axis("TRAIN.RATE", "log", 1e-4, 1e-2), Axis("TRAIN.EMA", "float", 0.5, 0.9),
                        Axis("TRAIN.BATCH", "int", 4, 8)]
    assert [axis.choices for axis in axes[3:]] == [["diou", "smooth_l1"], ["[320, 640]", "[256]", "[]"]]


@pytest.mark.parametrize("words, message", [
    (["TRAIN.RATE"], "'TRAIN.RATE': expected KEY=log:LOW:HIGH"),
    (["TRAIN.RATE=lin:1:2"], "expected KEY=log:LOW:HIGH"),
    (["TRAIN.RATE=log:0:1"], "needs LOW above 0"),
    (["TRAIN.RATE=log:1e-2:1e-4"], "the range is empty"),
    (["TRAIN.RATE=float:nan:1"], "the range is empty"),
    (["TRAIN.RATE=log:a:1"], "expected two numbers"),
    (["TRAIN.BATCH=int:1.5:3"], "expected whole numbers"),
    (["LOSS.BOX=choice:diou"], "one choice"),
    (["LOSS.BOX=choice:diou,l1"], "LOSS.BOX"),
    (["TRAIN.RAET=log:1e-4:1e-2"], "TRAIN.RATE"),
    (["TRAIN.EMA=float:0.5:1.5"], "TRAIN.EMA"),
    (["TRAIN.RATE=log:1:2", "TRAIN.RATE=log:1:3"], "named twice"),
    ([], "no key to search"),
])
def test_wrong_words(words, message):
    with pytest.raises(InputError, match=message):
        read_space(words, CFG)


def test_trials_without_a_selection_are_refused():
    with pytest.raises(InputError, match="TRAIN.SELECT is empty"):
        training(CFG)


# ---------------------------------------------------------------- the study


@pytest.fixture
def study_module():
    pytest.importorskip("optuna", reason="needs the package optuna (the extra search)")
    from manyfaces.engine.search import study

    return study


AXES = [Axis("TRAIN.RATE", "float", 0.0, 1.0), Axis("LOSS.BOX", "choice", choices=["diou", "smooth_l1"])]


def parabola(values, place, report):
    """Best at a rate of 0.7; reported at three steps."""
    place.mkdir(exist_ok=True)
    value = 1 - (values["TRAIN.RATE"] - 0.7) ** 2 - 0.1 * (values["LOSS.BOX"] == "smooth_l1")
    for step in (1, 2, 3):
        if report(step, value * step / 3):
            return None
    return value


def test_a_search_finds_prunes_and_continues(study_module, tmp_path):
    lines = []
    study_module.search(AXES, tmp_path, 8, parabola, startup=2, note=lines.append)
    study = study_module.search(AXES[::-1], tmp_path, 25, parabola, startup=2, note=lines.append)
    table = study_module.write_table(study, tmp_path / "trials.csv")
    assert len(table) == 25 and len({row["folder"] for row in table}) == 25
    assert table[0]["value"] > 0.97 and table[0]["LOSS.BOX"] == "diou" and table[0]["step"] == 3
    assert {row["state"] for row in table} == {"complete", "pruned"} and "  pruned" in lines
    assert [row["folder"] for row in rows(tmp_path / "trials.csv")] == [row["folder"] for row in table]
    assert study_module.search(AXES, tmp_path, 25, None, note=lines.append).best_value == table[0]["value"]
    with pytest.raises(InputError, match=r"the study is of LOSS\.BOX=choice:diou,smooth_l1, TRAIN\.RATE=float:0\.0:1\.0"
                                         r", now it is TRAIN\.RATE=float:0\.0:1\.0; .*search under another --name"):
        study_module.search(AXES[:1], tmp_path, 30, parabola)


def test_a_search_that_is_killed_takes_its_trial_up_again(study_module, tmp_path):
    """SIGKILL in the third trial; the next start gives it the same values and folder, and it counts once."""
    script = textwrap.dedent(f"""
        import os, sys
        from pathlib import Path
        from manyfaces.engine.search.space import Axis
        from manyfaces.engine.search.study import search
        folder = Path({str(tmp_path)!r})
        def objective(values, place, report):
            place.mkdir(exist_ok=True)
            with open(place / "values.txt", "a") as file:
                print(values["x"], file=file)
            report(1, values["x"])
            if place.name == "trial_0002" and len((place / "values.txt").read_text().split()) <= int(sys.argv[1]):
                os.kill(os.getpid(), {int(signal.SIGKILL)})
            return values["x"]
        search([Axis("x", "float", 0.0, 1.0)], folder, 4, objective)
    """)

    def run(kills):
        done = subprocess.run([sys.executable, "-c", script, str(kills)], capture_output=True, text=True, cwd=ROOT)
        return done.returncode, done.stdout + done.stderr

    assert run(2)[0] == -signal.SIGKILL
    code, output = run(2)
    assert code == -signal.SIGKILL and "trial_0002 was running when the search ended: it continues" in output
    code, output = run(2)
    assert code == 0, output
    values = (tmp_path / "trial_0002/values.txt").read_text().split()
    assert len(values) == 3 and len(set(values)) == 1
    from optuna.trial import TrialState

    study = study_module.open_study(tmp_path, 4, 0)
    assert not study.get_trials(states=(TrialState.RUNNING, TrialState.WAITING))
    table = study_module.write_table(study, tmp_path / "trials.csv")
    assert sorted(row["folder"] for row in table) == [f"trial_000{i}" for i in (0, 1, 2, 5)]
    assert {row["state"] for row in table} == {"complete"}


def test_a_trial_that_is_killed_again_and_again_is_given_up(study_module, tmp_path):
    """It may be what kills the machine, so it must not stop the search for ever."""
    tmp_path.mkdir(exist_ok=True)
    study = study_module.open_study(tmp_path, 4, 0)
    study.set_user_attr("axes", [str(AXES[0])])
    trial = study.ask()
    trial.set_user_attr("folder", "trial_0000")
    trial.set_user_attr("tries", study_module.TAKE_UPS)
    lines = []
    study = study_module.search(AXES[:1], tmp_path, 2, lambda values, *_: values["TRAIN.RATE"], note=lines.append)
    assert lines[0] == "trial_0000 was running when the search ended: marked as failed"
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE"]


def test_trials_that_fail(study_module, tmp_path):
    outcome = iter([0.5, InputError("not finite"), 0.6, *[InputError("no such file")] * 3])

    def objective(*_):
        value = next(outcome)
        if isinstance(value, InputError):
            raise value
        return value

    with pytest.raises(InputError, match="3 trials failed one after the other, the last with: no such file"):
        study_module.search(AXES, tmp_path, 9, objective, note=lambda _: None)
    assert study_module.search(AXES, tmp_path, 6, objective, note=lambda _: None).best_value == 0.6
    (tmp_path / "study.db").write_bytes(b"no database" * 100)
    with pytest.raises(InputError, match=r"study\.db: cannot be opened as a study .*move it away"):
        study_module.search(AXES, tmp_path, 9, objective)


@pytest.mark.slow
def test_the_command_trains_and_writes_the_best_config(study_module, tmp_path):
    """Two trials of two steps, in processes of their own."""
    write_scenes(tmp_path)
    keys = {**SETTINGS, "NAME": "tiny", "NET.BACKBONE": "mobilenet_v1", "NET.ALPHA": 0.25,
            "DATA_DIR": tmp_path / "data", "OUTPUT_DIR": tmp_path / "output", "TRAIN.SELECT": "scenes",
            "TRAIN.STEPS": 2, "TRAIN.SELECT_EVERY": 1, "TRAIN.SELECT_IMAGES": 2, "TRAIN.DETERMINISTIC": False}
    (tmp_path / "tiny.yml").write_text("FAMILY: ssh\n")
    words = ["TRAIN.RATE=log:1e-4:1e-2", "--cfg", str(tmp_path / "tiny.yml"), "--trials", "2", "--set",
             *[str(word) for pair in keys.items() for word in pair]]
    done = subprocess.run([sys.executable, "-m", "manyfaces", "search", *words], capture_output=True, text=True,
                          cwd=ROOT, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    logs = "".join(path.read_text() for path in tmp_path.glob("output/*/trial_*/log.txt"))
    assert done.returncode == 0, done.stdout + done.stderr + logs
    folder = tmp_path / "output/tiny_search"
    assert "best AP" in done.stdout and len(rows(folder / "trials.csv")) == 2
    best, first = load_config(folder / "best.yml"), rows(folder / "trials.csv")[0]
    assert best.NAME == "tiny_best" and best.TRAIN.RATE == pytest.approx(float(first["TRAIN.RATE"]))
    assert len(rows(folder / "trial_0000/select.csv")) == 2
