"""The study of a search: an SQLite file that a kill at any moment leaves complete.

A trial that was running when the search was killed is taken up again: its training continues from its checkpoint. Where
that has been tried TAKE_UPS times, the trial is marked as failed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...files import write_whole
from ...locks import hold, release
from .space import Axis

if TYPE_CHECKING:
    import optuna

TAKE_UPS = 2
FAILURES = 3  # trials that fail one after the other end the search: the fault is not in their values

Report = Callable[[int, float], bool]
"""(step, value of a selection) -> whether the trial is pruned."""
Objective = Callable[[dict[str, Any], Path, Report], float | None]
"""(values by key, folder of the trial, Report) -> value, higher is better; None: it was pruned."""


def open_study(folder: Path, startup: int, seed: int) -> optuna.study.Study:
    """The study in FOLDER/study.db, which is made if it is not there.

    Args:
        folder: of the search; it exists.
        startup: trials before any is pruned.
        seed: of the values that are tried.

    Raises:
        InputError: Optuna is missing, or the file is not a study.
    """
    try:
        import optuna
    except ImportError:
        raise InputError("the search needs Optuna: pip install 'manyfaces[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = folder / "study.db"
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}})
        study = optuna.create_study(storage=storage, study_name="manyfaces", direction="maximize", load_if_exists=True)
    except Exception as error:  # of SQLAlchemy or sqlite3
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: cannot be opened as a study ({reason}); move it away to begin again") from None
    # The values of a resumed search do not repeat those of its beginning.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=startup)
    return study


def search(axes: Sequence[Axis], folder: Path, trials: int, objective: Objective, startup: int = 4, seed: int = 0,
           note: Callable[[str], object] = print) -> optuna.study.Study:
    """Run trials until there are enough.

    Args:
        axes: what is searched.
        folder: holds study.db and a folder per trial; one process at a time works there.
        trials: number of trials that the study has at the end.
        objective: scores the values of a trial.
        startup: trials before any is pruned.
        seed: of the values.
        note: prints a line.

    Raises:
        InputError: another process works there, the study is of other keys, or FAILURES trials failed one after the
            other.
    """
    folder.mkdir(parents=True, exist_ok=True)
    hold(folder)
    try:
        study = open_study(folder, startup, seed)
        _same_axes(study, axes)
        _take_up(study, note)
        failures = 0
        while (done := _done(study)) < trials:
            trial = study.ask()
            values = {axis.key: axis.suggest(trial) for axis in axes}
            if "folder" not in trial.user_attrs:
                trial.set_user_attr("folder", f"trial_{trial.number:04d}")
            place = folder / trial.user_attrs["folder"]
            note(f"trial {done + 1} of {trials} ({place.name}): " + in_words(values))
            failures = 0 if _run(study, trial, values, place, objective, note) else failures + 1
            if failures == FAILURES:
                raise InputError(f"{folder}: {FAILURES} trials failed one after the other, the last with: "
                                 f"{study.trials[trial.number].user_attrs.get('error', '')}")
        return study
    finally:
        release(folder)


def _run(study, trial, values, place, objective, note):
    """Run one trial; returns whether it did not fail."""
    from optuna.trial import TrialState

    def told(step, value):
        trial.report(value, step)
        return trial.should_prune()

    try:
        value = objective(values, place, told)
    except (InputError, OSError) as error:
        trial.set_user_attr("error", " ".join(str(error).split()))
        study.tell(trial, state=TrialState.FAIL)
        note(f"  failed: {error}")
        return False
    if value is None:
        study.tell(trial, state=TrialState.PRUNED)
        note("  pruned")
    else:
        study.tell(trial, value)
        note(f"  {value:.4f} (best {study.best_value:.4f})")
    return True


def _newest(study):
    """Folder -> its newest trial: one that was taken up again is there twice."""
    return {trial.user_attrs["folder"]: trial for trial in study.trials if "folder" in trial.user_attrs}


def _done(study):
    """Number of trials that have ended."""
    return sum(trial.state.is_finished() for trial in _newest(study).values())


def _take_up(study, note):
    """Mark the trials that a killed search left running as failed, and put their values first in the queue."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        place, tries = trial.user_attrs.get("folder"), trial.user_attrs.get("tries", 0)
        again = place is not None and tries < TAKE_UPS
        # In this order: a kill between the two must not lose the values.
        if again and _newest(study)[place].number == trial.number:
            study.enqueue_trial(trial.params, {"folder": place, "tries": tries + 1})
        study.tell(trial.number, state=TrialState.FAIL)
        note(f"{place or f'trial {trial.number}'} was running when the search ended: "
             + ("it continues from its checkpoint" if again else "marked as failed"))


def _same_axes(study, axes):
    known, now = study.user_attrs.get("axes"), sorted(map(str, axes))
    if known is None:
        study.set_user_attr("axes", now)
    elif known != now:
        raise InputError(f"the study is of {', '.join(known)}, now it is {', '.join(now)}; continue with the same "
                         f"keys, or search under another --name")


def in_words(values: dict[str, Any]) -> str:
    """KEY VALUE KEY VALUE, as --set takes them."""
    return " ".join(f"{key} {value:.6g}" if isinstance(value, float) else f"{key} {value}"
                    for key, value in values.items())


def write_table(study: optuna.study.Study, path: Path) -> list[dict[str, Any]]:
    """Write the trials as CSV, best first; returns its rows."""
    trials = sorted(_newest(study).values(), key=lambda trial: (
        trial.state.name != "COMPLETE", -(trial.value or 0) if trial.state.name == "COMPLETE" else 0, trial.number))
    keys = list(dict.fromkeys(key for trial in trials for key in trial.params))
    rows = []
    for trial in trials:
        last = trial.intermediate_values.get(trial.last_step) if trial.last_step is not None else None
        rows.append({"folder": trial.user_attrs.get("folder", ""), "state": trial.state.name.lower(),
                     "value": trial.value if trial.state.name == "COMPLETE" else last, "step": trial.last_step,
                     **{key: trial.params.get(key) for key in keys}})
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["folder", "state", "value", "step", *keys])
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue())
    return rows
