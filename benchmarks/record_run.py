"""Measure a finished training and add its row to a table of runs: config, data, epochs, hours, AP, ms."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from manyfaces.commands.command_line import add_set_option, argument_parser
from manyfaces.files import write_whole

EXAMPLE = """
tools/record_run.py --run output/ssh_mobilenet_v1_025 --data ../shared/data --csv docs/results/runs.csv
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of tools/record_run.py."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("--run", required=True, metavar="DIR", help="output/NAME of a training")
    parser.add_argument("--weights", metavar="FILE", help="(default: best.weights.h5 of the run, else last)")
    parser.add_argument("--data", required=True, metavar="DIR", help="holds wider_events, wider_crowd, wider, "
                        "wider_eval, facemask")
    parser.add_argument("--pickles", default="data/pickles", metavar="DIR", help="roidbs")
    add_set_option(parser, ", such as scales and NMS that were chosen after the training")
    parser.add_argument("--note", default="", help="free text of the row")
    parser.add_argument("--csv", required=True, metavar="FILE", help="the table; the row is added at its end")
    options = parser.parse_args(arguments)

    from manyfaces.config import load_config
    from manyfaces.engine.checkpoint import read_facts
    from manyfaces.inference.models import load_detector
    from manyfaces.runtimes.files import trained_weights

    from . import machine
    from .detectors import compare
    from .entry import everything

    folder = Path(options.run)
    cfg, facts = load_config(folder / "config.yml", options.set), read_facts(folder / "checkpoint.npz")
    weights = options.weights or trained_weights(folder)
    table = compare({cfg.NAME: everything(load_detector(cfg, weights))}, options.data, options.pickles)
    row = {"config": cfg.NAME, "data": cfg.TRAIN.DATASETS, "steps": facts["step"],
           "epochs": f"{facts['epochs']:.1f}", "hours": f"{facts['seconds'] / 3600:.2f}",
           "weights": Path(weights).name, **dict(zip(table.columns[1:], table.rows[0][1:], strict=True)),
           "note": options.note, **dict(zip(machine.COLUMNS, machine.facts(machine.packages_of("keras")), strict=True))}
    write_whole(options.csv, _with_row(options.csv, row).encode())
    print(table.text(), f"added to {options.csv}", sep="\n")


def _with_row(path, row):
    """Text of the CSV at `path`, if there is one, with the row added at its end."""
    old = list(csv.DictReader(open(path, encoding="utf-8", newline=""))) if Path(path).exists() else []
    out = io.StringIO()
    writer = csv.DictWriter(out, list(row), lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows([*old, row])
    return out.getvalue()
