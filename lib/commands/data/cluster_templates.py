"""Derive templates for Tiny Faces, or anchors for SSD, from the sizes of a data set's faces.

Weighted k-medoids under 1 - IoU of sizes (Finding Tiny Faces, section 3.2). The templates are fitted to a random half
of the images. The tool prints how well they and other templates cover the faces of the other half, then the YAML lines
for a config. The same seed gives the same templates.
"""

from collections.abc import Sequence

import numpy as np

from ...datasets import statistics_table
from ...datasets.roidb import load_roidb
from ...errors import InputError, Range, check_number, check_whole
from ..command_line import argument_parser, read_numbers
from .annotation_options import add_annotation_options, read_annotation

EXAMPLE = """
manyfaces data templates --format wider --labels data/wider/wider_face_split/wider_face_train.mat \\
    --against RefBox_N25.mat --plot output/templates.png
manyfaces data templates --roidb data/pickles/wider_train.pkl --count 12 --scales 0.5,1,2 --low 8 --high 120
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of `manyfaces data templates`."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("--roidb", nargs="+", default=[], metavar="FILE", help="roidbs of `manyfaces data build`")
    parser.add_argument("--labels", metavar="FILE", help="an annotation, with its --format, instead of --roidb")
    parser.add_argument("--images", metavar="DIR", help="folder of its images, where the format needs them")
    add_annotation_options(parser, None)
    parser.add_argument("--count", type=int, default=25, help="number of templates")
    parser.add_argument("--scales", default="1", metavar="S,S,...", help="the faces are used at each of these scales")
    parser.add_argument("--low", type=float, default=0.0, help="smallest face: square root of its area, px")
    parser.add_argument("--high", type=float, default=float("inf"), help="largest face: square root of its area, px")
    parser.add_argument("--held-out", type=float, default=0.5, help="fraction of the images that is held out, under 1")
    parser.add_argument("--seed", type=int, default=0, help="of the halves and of the search")
    parser.add_argument("--against", nargs="+", default=[], metavar="FILE",
                        help="other templates, for comparison: RefBox_N25.mat, or a config with ANCHORS.WIDTHS")
    parser.add_argument("--plot", metavar="FILE.png", help="draw the sizes of the faces and the templates there")
    options = parser.parse_args(arguments)
    if bool(options.roidb) == bool(options.format and options.labels):
        raise InputError("expected either --roidb, or --format and --labels")
    check_number(options.held_out, "--held-out", Range(least=0, below=1))
    check_number(options.low, "--low", Range(least=0))
    if not options.low < options.high:  # which may be infinite, but not NaN
        raise InputError(f"--high is {options.high}, expected a number of more than --low, {options.low}")
    check_whole(options.count, "--count", Range(least=1))
    check_whole(options.seed, "--seed")
    scales = read_scales(options.scales)

    from ...templates.cluster import cluster_sizes
    from ...templates.sets import COLOURS, face_sizes, plot_templates, read_templates, yaml_lines

    if len(options.against) >= len(COLOURS):
        raise InputError(f"--against takes at most {len(COLOURS) - 1} files")
    others = {path: read_templates(path) for path in options.against}
    records = [r for path in options.roidb for r in load_roidb(path).records]
    if not options.roidb:
        roidb = read_annotation(options)
        print(statistics_table(roidb))
        records = roidb.records
    order = np.random.default_rng(options.seed).permutation(len(records))
    held = round(options.held_out * len(records))
    halves = [face_sizes([records[i] for i in half], scales, options.low, options.high)
              for half in (order[held:], order[:held])]
    if not len(halves[0]):
        raise InputError("no face to fit templates to: all are ignored, or outside --low and --high")
    sets = {f"{options.count} fitted": cluster_sizes(halves[0], options.count, options.seed), **others}
    if options.plot:  # before the table: the reader of the output may end early
        plot_templates(options.plot, np.concatenate(halves), sets)
    print_coverage(sets, halves)
    print("\n".join(yaml_lines(sets[f"{options.count} fitted"])))
    if options.plot:
        print(f"wrote {options.plot}")


def read_scales(text: str) -> list[float]:
    """[0.5, 1.0] of "0.5,1"."""
    scales = read_numbers(text, "--scales", "factors over 0 such as 0.5,1,2")
    return [check_number(scale, "--scales", Range(over=0)) for scale in scales]


def print_coverage(sets: dict[str, np.ndarray], halves: Sequence[np.ndarray]) -> None:
    """Print a line per set of templates (K, 2) for the fitted faces (N, 2), and one for the held-out faces."""
    from ...templates.sets import COVERED, coverage

    print(f"{'templates':40} {'number':>6}  {'faces':10} {'count':>9}  mean best IoU" + "".join(
        f"  >= {iou}" for iou in COVERED))
    for name, templates in sets.items():
        for half, sizes in zip(("fitted to", "held out"), halves, strict=True):
            if len(sizes):
                mean, *covered = coverage(sizes, templates)
                print(f"{name[-40:]:40} {len(templates):6}  {half:10} {len(sizes):9,}  {mean:13.4f}"
                      + "".join(f"  {share:6.3f}" for share in covered))
