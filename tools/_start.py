"""What every tool does first and last: it needs the environment that `make` builds, and says so where that is missing.

Nothing but the standard library is imported here, and any Python 3 reads it.
"""

import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv" / "bin" / "python"
OURS = ("manyfaces.", "benchmarks")  # a module of ours that is missing is a defect and keeps its traceback


def run(main):
    """Call main() of a command line and exit with its code."""
    from manyfaces.commands.command_line import run as run_command

    sys.exit(run_command(main))


def _say_what_to_run(kind, error, traceback):
    name = error.name or "" if issubclass(kind, ModuleNotFoundError) else ""
    if not name or name.startswith(OURS):
        sys.__excepthook__(kind, error, traceback)
        return
    command = " ".join(map(shlex.quote, [str(PYTHON), *sys.argv]))
    here = Path(sys.prefix).resolve() == PYTHON.parents[1].resolve()
    what = f"run {command}" if PYTHON.exists() and not here else f"run make -B -C {ROOT}, then {command}"
    print(f"error: {sys.executable} has no module {name}: {what}", file=sys.stderr)
    sys.exit(2)


sys.path.insert(0, str(ROOT))  # for benchmarks/, which is not part of the installed package
sys.excepthook = _say_what_to_run
