"""Time each detector in a process of its own, in which nothing else is loaded.

The processes take turns (in_turns.TURN images each), so that a drift of the machine's speed affects all equally. What
is timed, and how, is as in in_turns: only the other detectors are missing.

python -m benchmarks.alone ENTRY opens the entry and prints `ready`. It answers `time PATHS`, a JSON list, with the
seconds of each image.
"""

import json
import sys
from contextlib import ExitStack

import numpy as np

from manyfaces.errors import InputError
from manyfaces.progress import Progress

from .child import Child, ChildFailed
from .entry import Entry
from .in_turns import TURN, in_turns


def alone(entries, images):
    """Time every entry that can run here.

    Args:
        entries: dict name -> Entry.
        images: paths.

    Returns:
        Dict name -> seconds (N,) of the call on each image, and dict name -> reason of those that cannot run here.
    """
    seconds, reasons = {}, {}
    with ExitStack() as stack:
        children = {}
        for name, entry in entries.items():
            try:
                children[name] = stack.enter_context(Child(__name__, entry.text()))
                seconds[name] = []
            except ChildFailed as error:
                reasons[name] = error.reason
        with Progress(len(images), "images, each detector in a process of its own") as progress:
            for first in range(0, len(images), TURN):
                turn = images[first : first + TURN]
                for name, child in children.items():
                    seconds[name] += json.loads(child.ask("time", json.dumps([str(path) for path in turn])))
                progress.advance(len(turn))
    return {name: np.array(values) for name, values in seconds.items()}, reasons


def main(text):
    """Serve the requests that the module's docstring describes."""
    try:
        detect = Entry.of(text).open()
    except InputError as error:
        sys.exit(str(error))
    print("ready", flush=True)
    for line in sys.stdin:
        images = json.loads(line.partition(" ")[2])
        print("time", json.dumps(in_turns({"": detect}, images)[1][""].tolist()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
