"""Measure predictions: WIDER FACE's official easy / medium / hard, or AP on any roidb; or a detector's landmarks."""

from collections.abc import Sequence

from ..command_line import argument_parser
from . import COMMANDS, command

EXAMPLE = """
manyfaces evaluate wider --pred output/ssh_mobilenet_v1_025/pred --gt data/wider/ground_truth
manyfaces evaluate fddb --pred output/fddb.txt --annotations data/fddb/FDDB-folds --images data/fddb/originalPics
manyfaces evaluate coco --pred results.json --gt data/wider_val.json
manyfaces evaluate voc --pred output/ssh_mobilenet_v1_025/pred_facemask --gt data/facemask/annotations \\
    --classes with_mask without_mask mask_weared_incorrect
manyfaces evaluate roidb --pred output/ssh_mobilenet_v1_025/pred_facemask --roidb data/pickles/facemask_val.pkl
manyfaces evaluate heights --pred output/A/pred_facemask --pred output/B/pred_facemask \\
    --roidb data/pickles/facemask_val.pkl
manyfaces evaluate landmarks --cfg ssh_mobilenet_v1_025 --roidb data/pickles/landmarks_test.pkl
"""


def main(arguments: Sequence[str] | None = None) -> int | None:
    """The command line of `manyfaces evaluate`."""
    parser = argument_parser(__doc__, EXAMPLE)
    commands = parser.add_subparsers(dest="protocol", required=True, metavar="|".join(COMMANDS))
    for name, text in COMMANDS.items():
        command(name).add_arguments(commands.add_parser(name, help=text, description=text))
    options = parser.parse_args(arguments)
    return command(options.protocol).evaluate(options)
