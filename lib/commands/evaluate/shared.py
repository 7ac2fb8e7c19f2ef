"""What the protocols that read prediction folders share: arguments, names, reading, and what was skipped."""

import json
import os
from argparse import ArgumentParser
from collections.abc import Sequence

from ...errors import InputError, printable
from ...evaluation.files.predictions import Skipped, read_predictions
from ...files import write_whole


def add_folder_arguments(parser: ArgumentParser) -> None:
    """Add --pred (several), --subset, --lenient and --json."""
    parser.add_argument("--pred", required=True, action="append", metavar="DIR",
                        help="folder of event/name.txt files; may be given several times")
    parser.add_argument("--subset", action="store_true", help="evaluate only the images that have a prediction file")
    parser.add_argument("--lenient", action="store_true", help="skip and count malformed files and lines")
    parser.add_argument("--json", metavar="FILE", help="write the results there as well")


def read_folder(folder: str, lenient: bool) -> tuple[dict, dict[str, int] | None]:
    """Read predictions; lenient: skip what is malformed, and print the first places.

    Returns:
        (predictions, counts of what was skipped; None unless lenient).
    """
    skipped = Skipped() if lenient else None
    predictions = read_predictions(folder, skipped)
    if skipped is None:
        return predictions, None
    if skipped.messages:
        print(f"{folder}: skipped {skipped.files} files and {skipped.lines} lines; {skipped.counts} counts were wrong")
    for message in skipped.messages[:5]:
        print(f"  {printable(message)}")
    return predictions, {"files": skipped.files, "lines": skipped.lines, "wrong counts": skipped.counts}


def write_json(path: str | None, results: object) -> None:
    """Write results as JSON; without a path, do nothing."""
    if path:
        write_whole(path, json.dumps(results, indent=1) + "\n")


def print_warnings(results: Sequence[dict]) -> None:
    """Print the `warnings` of results, each with its `name` or `pred`."""
    for result in results:
        for text in result["warnings"]:
            print(f"warning: {printable(result.get('name', result['pred']))}: {text}")


def method_names(folders: Sequence[str], text: str | None) -> list[str]:
    """Names of the methods: those of --names, or the shortest end of each path that tells the folders apart."""
    if text is not None:
        names = text.split(",")
        if len(names) != len(folders):
            raise InputError(f"--names: {len(names)} names for {len(folders)} --pred; expected one for each, as in A,B")
        return names
    paths = [os.path.abspath(folder).split(os.sep) for folder in folders]
    paths = [path[:-1] if path[-1] == "pred" and len(path) > 2 else path for path in paths]
    names = []
    for path in paths:
        others = [other for other in paths if other != path]
        length = 1
        while any(other[-length:] == path[-length:] for other in others) and length < len(path):
            length += 1
        names.append(printable("/".join(path[-length:])))
    return names
