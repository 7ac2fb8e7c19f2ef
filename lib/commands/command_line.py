"""What the command lines share: a parser that shows an example, and one place where errors become text.

Texts name commands as `manyfaces train`. Where tools/train.py was called they are shown as `tools/train.py`: see
`as_called`.

Exit codes: 0 done, 2 bad input (InputError, and argparse's own), 1 the machine failed (disk full, no permission),
130 interrupted from the keyboard.
"""

import argparse
import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import InputError, printable
from . import COMMANDS

Main = Callable[[Sequence[str] | None], int | None]
_TOOLS = {name: f"tools/{command.tool}.py" for name, command in COMMANDS.items() if command.tool}
_LONGEST_FIRST = "|".join(sorted(_TOOLS, key=len, reverse=True))
_NAMES = re.compile(rf"(?<![\w/.])(?<!from )manyfaces ({_LONGEST_FIRST})(?![\w-])")
_program: str | None = None  # "manyfaces train" while `call` runs that command


def as_called(text: str) -> str:
    """The text with its commands in the form in which this program was called: tools/train.py, or `manyfaces train`."""
    return _NAMES.sub(lambda match: _TOOLS[match[1]], text) if _is_tool() else text


def _is_tool():
    called = Path(sys.argv[0])
    return called.suffix == ".py" and called.parent.name == "tools"


def call(program: str, main: Main, arguments: Sequence[str]) -> int | None:
    """Run main(arguments); its --help and usage call it `program`, such as "manyfaces train"."""
    global _program
    before, _program = _program, program
    try:
        return main(arguments)
    finally:
        _program = before


class _Formatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Keeps the example's line breaks, and appends defaults to the help of options that does not name them itself."""

    def _get_help_string(self, action):
        said = action.default in (None, False, [], "") or "(default" in action.help
        if said or not action.option_strings:
            return action.help
        return super()._get_help_string(action)


class _Parser(argparse.ArgumentParser):
    """Names commands as they were called, and refuses an empty text for a path.

    An empty text, such as that of an unset variable, would mean the working folder.
    """

    def __init__(self, *names, **facts):
        facts = {key: as_called(text) if key in ("description", "epilog") else text for key, text in facts.items()}
        super().__init__(*names, **facts)

    def add_argument(self, *names, **facts):
        facts |= {key: as_called(text) for key, text in facts.items() if key == "help"}
        if any(word in str(facts.get("metavar")) for word in ("FILE", "DIR", "LIST")):
            facts.setdefault("type", _path)
        return super().add_argument(*names, **facts)


def _path(text):
    if not text:
        raise argparse.ArgumentTypeError("expected a path, found an empty text")
    return text


def argument_parser(description: str, example: str) -> argparse.ArgumentParser:
    """A parser whose --help ends in an example.

    Args:
        description: what the command does.
        example: commands, one per line, in the form `manyfaces train ...`.
    """
    lines = "\n".join("  " + line for line in example.strip().splitlines())
    return _Parser(_program, description=description.strip(), epilog=f"example:\n{lines}", formatter_class=_Formatter)


def add_cfg_option(parser: argparse.ArgumentParser, words: str = "", required: bool = False) -> None:
    """Add --cfg, the config of an experiment.

    Args:
        words: what else --help says about it.
    """
    parser.add_argument("--cfg", required=required, metavar="FILE|NAME", help="config of the experiment: a .yml file, "
                        f"or the name of one that the package has, such as ssh_mobilenet_v1_025{words}")


def add_set_option(parser: argparse.ArgumentParser, words: str = "") -> None:
    """Add --set KEY VALUE ...; each further --set adds to those before it.

    Args:
        words: what else --help says about the keys.
    """
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar=("KEY", "VALUE"),
                        help=f"keys of the config to change{words}")


def read_numbers(text: str, option: str, expected: str) -> list[float]:
    """[0.5, 1.0] of "0.5,1".

    Raises:
        InputError: it is not a list of numbers; it names the option and what is expected.
    """
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise InputError(f"{option} {text!r}: expected {expected}") from None


def quiet_decoders() -> None:
    """Silence the logs of OpenCV and FFmpeg about files that they cannot decode: the tools name these files themselves.

    OPENCV_LOG_LEVEL and OPENCV_FFMPEG_LOGLEVEL bring the logs back. libpng and libjpeg have no such switch.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET; read when the first video is opened
    if "OPENCV_LOG_LEVEL" not in os.environ:
        import cv2

        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def run(main: Main, arguments: Sequence[str] | None = None) -> int:
    """Call main(arguments); bad input prints `error: ...` without a traceback.

    Whatever is neither bad input nor a failing file system is a defect of the program and keeps its traceback.

    Args:
        main: returns an exit code, or None for 0.
        arguments: words of the command line; None: those of sys.argv.

    Returns:
        The exit code for sys.exit.
    """
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))  # closed: 2>&-
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no name of a file is an error in any encoding
    try:
        try:
            return _run(main, arguments)
        finally:
            for stream in (sys.stdout, sys.stderr):  # here, where an error can still be reported, not at exit
                stream.flush()
    except BrokenPipeError:
        _discard()
        return 141
    except OSError as error:  # standard output is a file on a full disk
        if error.errno is None:
            raise
        _discard(sys.stdout)
        with contextlib.suppress(OSError):
            print(f"error: standard output: {error.strerror}", file=sys.stderr, flush=True)
        return 1


def _run(main, arguments):
    """The exit code; errors that a user can correct are printed."""
    try:
        return main(arguments) or 0
    except InputError as error:
        return _fail(error, 2)
    except ModuleNotFoundError as error:  # of an extra; tools/_start.py says what a working copy needs
        extra = _extra_with(error.name or "")
        if not extra or _is_tool():
            raise
        return _fail(f"the package {error.name} is not installed: pip install 'manyfaces[{extra}]'", 2)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:  # the reader of the output (`| head`) has ended
        raise
    except OSError as error:
        if error.errno is None:
            raise
        where = f"{printable(str(error.filename))}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or os.strerror(error.errno)}", 1)


def _extra_with(module):
    """The extra of manyfaces that installs a module, by the metadata of the package; empty: none does."""
    import importlib.metadata  # late: it takes longer than the rest of --help

    first = module.partition(".")[0].replace("_", "-").lower()
    try:
        requirements = importlib.metadata.requires("manyfaces") or []
    except importlib.metadata.PackageNotFoundError:
        requirements = []
    found = [re.match(r"([\w.-]+).*\bextra == ['\"]([\w-]+)", line) for line in requirements]
    return next((match[2] for match in found if match and match[1].lower() == first != "manyfaces"), "")


def _fail(message, code):
    sys.stdout.flush()
    print(f"error: {as_called(str(message))}", file=sys.stderr, flush=True)
    return code


def _discard(*streams):
    """Throw away what else is written to the streams, by default both: Python flushes them again at exit."""
    for stream in streams or (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
