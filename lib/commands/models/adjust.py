"""Lower the scores of small anchors of a trained detector as far as the selection images say.

Tries adjustments of the scores by the size of the anchor on TRAIN.SELECT, prints a table of them, and writes the best
one into RUN/adjusted.weights.h5, for `manyfaces ship --weights`; where none is better, the weights as they are. AP is
the mean over the sets and over the faces from each of --heights on. A detector with much the same AP of all faces then
has fewer false positives before large faces. Choose TEST.DEMO_SCORE after it: the scores of small faces have changed.
"""

from collections.abc import Sequence
from pathlib import Path

from ...config import check_value, load_config
from ...errors import InputError
from ..command_line import add_set_option, argument_parser, quiet_decoders, read_numbers

NAME = "adjusted.weights.h5"
EXAMPLE = """
manyfaces adjust --run output/ssh_mobilenet_v1_025
manyfaces adjust --run output/tiny_mobilenet_v1_025 --heights 0,10,30,50
manyfaces ship --run output/ssh_mobilenet_v1_025 --weights output/ssh_mobilenet_v1_025/adjusted.weights.h5
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of `manyfaces adjust`."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("--run", required=True, metavar="DIR", help="output/NAME of a training")
    parser.add_argument("--weights", metavar="FILE", help="(default: best.weights.h5 of the run, else last)")
    parser.add_argument("--heights", default="0,10,30,50", metavar="PX,PX,...", help="the faces from each of these "
                        "heights on are judged in turn; 10, 30 and 50 are much like WIDER FACE's hard, medium and easy "
                        "(default: %(default)s)")
    add_set_option(parser)
    options = parser.parse_args(arguments)
    quiet_decoders()
    folder = Path(options.run)
    if not (folder / "config.yml").is_file():
        raise InputError(f"{folder / 'config.yml'}: no such file; --run takes the folder of a training, output/NAME")
    cfg = load_config(folder / "config.yml", options.set)
    heights = check_value("TRAIN.SELECT_HEIGHTS", read_numbers(options.heights, "--heights", "px such as 0,10,30,50"),
                          "--heights")
    if not cfg.TRAIN.SELECT:
        raise InputError("TRAIN.SELECT is empty: name the roidbs that choose, such as --set TRAIN.SELECT wider_select")

    from ...engine.search.adjust import adjust, try_adjustments  # late, so that --help is quick
    from ...engine.select import Selection
    from ...evaluation.tables import print_table
    from ...inference.detector import Detector
    from ...inference.models import load_model
    from ...progress import Progress
    from ...runtimes.files import trained_weights
    from ...weights.files import save_weights

    family, model, run = load_model(cfg, options.weights or trained_weights(folder))
    selection = Selection(cfg, family, Detector(family, run, cfg))
    with Progress(sum(map(len, selection.sets.values())), "images") as progress:
        plain, *others = try_adjustments(selection, heights, progress.advance)
    others.sort(key=lambda row: -row.mean)
    print_table(["knee px", "slope", "mean AP", *(f"from {height:g} px" for height in heights), *selection.sets],
                [[f"{row.adjustment.knee:g}", f"{row.adjustment.slope:g}", row.mean, *row.by_height(),
                  *row.by_set().values()] for row in (plain, *others)])
    best = max(plain, others[0], key=lambda row: row.mean)  # of equals the plain one
    adjust(model, family, best.adjustment)
    save_weights(model, folder / NAME, cfg)
    print(f"{folder / NAME}: " + ("as trained, no adjustment is better" if best is plain else
          f"mean AP {best.mean:.4f} instead of {plain.mean:.4f}; below {best.adjustment.knee:g} px the logits are "
          f"lowered by {best.adjustment.slope:g} per halving of the anchor"))
