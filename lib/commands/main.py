"""The command line `manyfaces COMMAND`: it finds the command in the table and imports only that one's module."""

import difflib
import importlib
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import InputError
from . import COMMANDS, command_line

EPILOG = """
`{} COMMAND --help` shows the options of a command, with examples.
Exit codes: 0 done, 1 the machine failed (disk full, no permission), 2 bad input, 130 interrupted."""


def entry() -> int:
    """What the script `manyfaces` and `python -m manyfaces` run; returns the exit code."""
    return command_line.run(main)


def main(arguments: Sequence[str] | None = None) -> int | None:
    """Call the command that the first words name with the words after them.

    Raises:
        InputError: there is no such command; says which one is probably meant.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = ""
    while words:
        if words[0] in ("-h", "--help"):
            print(_help(name))
            return 0
        if words[0] == "--version" and not name:
            print(f"manyfaces {__version__}")
            return 0
        name = f"{name} {words.pop(0)}".lstrip()
        if name not in COMMANDS:
            raise InputError(_unknown(name))
        command = COMMANDS[name]
        if command.module:
            module = importlib.import_module(f".{command.module}", __package__)
            return command_line.call(f"manyfaces {name}", getattr(module, command.function), words)
    print(_help(name), file=sys.stderr)
    return 2


def _members(group: str) -> dict[str, str]:
    """Last word -> line of the table, for the commands of a group; "" is the table itself."""
    rows = {name.rpartition(" "): command.line for name, command in COMMANDS.items()}
    return {last: line for (first, _, last), line in rows.items() if first == group}


def _help(group: str) -> str:
    members = _members(group)
    width = max(map(len, members))
    lines = [f"  {name:{width}}  {line}" for name, line in members.items()]
    start = f"manyfaces {group}".rstrip()
    what = COMMANDS[group].line if group else "Train, evaluate, run and ship face detectors"
    text = [f"usage: {start} COMMAND ...", "", f"{what[0].upper()}{what[1:]}.", "", *lines, EPILOG.format(start)]
    return "\n".join(text)


def _unknown(name: str) -> str:
    """The message for a command that does not exist."""
    group, _, last = name.rpartition(" ")
    members = _members(group)
    near = difflib.get_close_matches(last, members, 1) or [
        row.rpartition(" ")[2] if row.rpartition(" ")[0] == group else row
        for row, command in COMMANDS.items() if command.tool and command.tool == last.removesuffix(".py")][:1]
    start = f"manyfaces {group}".rstrip()
    return f"{start}: no command {last!r}; " + (
        f"did you mean {near[0]}?" if near else f"there are: {', '.join(members)}")
