"""Search for better values of config keys with Optuna.

Each trial trains the config with other values and is measured by TRAIN.SELECT_BY on the selection images. Trials whose
selections are below the median of the earlier ones at the same step are pruned. OUTPUT_DIR/NAME_search holds the study,
a folder per trial, trials.csv and best.yml. The same command continues a search that was stopped or killed, and with a
higher --trials makes it longer.
"""

import copy
from collections.abc import Sequence
from pathlib import Path

from ..config import load_config, override, save_config
from ..errors import InputError
from .command_line import add_cfg_option, add_set_option, argument_parser
from .train import initial_weights

EXAMPLE = """
manyfaces search TRAIN.RATE=log:1e-4:1e-2 LOSS.BOX=choice:diou,smooth_l1 --cfg toy_ssh --trials 20
manyfaces search TRAIN.EMA=float:0.9:0.999 TRAIN.BATCH=int:8:32 --cfg toy_ssh --set TRAIN.STEPS 200
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of `manyfaces search`."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("space", nargs="+", metavar="KEY=RANGE",
                        help="log:LOW:HIGH, float:LOW:HIGH, int:LOW:HIGH or choice:A,B,C")
    add_cfg_option(parser, required=True)
    parser.add_argument("--trials", type=int, default=20, metavar="N", help="trials that the study has at the end")
    parser.add_argument("--startup", type=int, default=4, metavar="N", help="complete trials before any is pruned")
    parser.add_argument("--name", metavar="NAME", help="folder in OUTPUT_DIR (default: that of the config, _search)")
    parser.add_argument("--init", metavar="WEIGHTS", help="as for `manyfaces train`")
    add_set_option(parser)
    options = parser.parse_args(arguments)
    for name in ("trials", "startup"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name} {getattr(options, name)}: expected at least 1")
    cfg = load_config(options.cfg, options.set)

    from ..engine.search.space import read_space
    from ..engine.search.study import in_words, search, write_table
    from ..engine.search.trial import training

    axes = read_space(options.space, cfg)
    folder = Path(cfg.OUTPUT_DIR).absolute() / (options.name or f"{cfg.NAME}_search")
    study = search(axes, folder, options.trials, training(cfg, initial_weights(options.init)), options.startup,
                   cfg.SEED, lambda line: print(line, flush=True))
    rows = write_table(study, folder / "trials.csv")
    for row in rows:
        value = "" if row["value"] is None else f"{row['value']:.4f}"
        values = {key: row[key] for key in list(row)[4:] if row[key] is not None}
        print(f"{row['folder']:<12} {row['state']:<9} {value:>7}  {in_words(values)}")
    if rows and rows[0]["state"] == "complete":
        best = copy.deepcopy(cfg)
        override(best, [word for key in list(rows[0])[4:] for word in (key, rows[0][key])])
        best.NAME = f"{cfg.NAME}_best"
        save_config(best, folder / "best.yml")
        print(f"best {cfg.TRAIN.SELECT_BY} {rows[0]['value']:.4f}; train it with: manyfaces train --cfg "
              f"{folder / 'best.yml'}")
    print(f"the table is in {folder / 'trials.csv'}")
