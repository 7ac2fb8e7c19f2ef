"""Write one HTML file that shows where a detector is weak: curves, breakdowns and galleries of its errors.

It needs only a browser. It contains crops of the images, so their terms apply to it.
"""

from collections.abc import Sequence

from ..errors import check_whole
from .command_line import argument_parser, quiet_decoders

EXAMPLE = """
manyfaces report --pred output/ssh_mobilenet_v1_025/pred --gt data/wider/ground_truth \\
    --images data/wider/WIDER_val/images --out report.html
manyfaces report --pred output/A/pred --pred output/B/pred --gt data/wider/ground_truth --out report.html --subset
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of `manyfaces report`."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("--pred", required=True, action="append", metavar="DIR",
                        help="folder of event/name.txt files; may be given several times")
    parser.add_argument("--gt", required=True, metavar="DIR",
                        help="folder of wider_face_val.mat and wider_{easy,medium,hard}_val.mat")
    parser.add_argument("--images", metavar="DIR", help="folder of event/name.jpg; without it there are no galleries")
    parser.add_argument("--out", required=True, metavar="FILE", help="the .html file to write")
    parser.add_argument("--names", metavar="A,B", help="names of the methods, in the order of --pred; by default "
                        "those of their folders (output/X/pred is called X)")
    parser.add_argument("--setting", choices=("easy", "medium", "hard"), default="hard",
                        help="the setting whose faces the breakdowns and galleries show")
    parser.add_argument("--crops", type=int, metavar="N", help="crops per kind of error (default: 24, fewer for "
                        "many methods)")
    parser.add_argument("--subset", action="store_true", help="evaluate only the images that have a prediction file")
    parser.add_argument("--lenient", action="store_true", help="skip and count malformed files and lines")
    options = parser.parse_args(arguments)
    if options.crops is not None:
        check_whole(options.crops, "--crops")
    quiet_decoders()

    from ..evaluation.files.ground_truth import read_ground_truth
    from ..evaluation.report.html.method import examine, read_settings
    from ..evaluation.report.html.report import write_report
    from .evaluate.shared import method_names, read_folder

    names, truth, methods = method_names(options.pred, options.names), read_ground_truth(options.gt), []
    for name, folder in zip(names, options.pred, strict=True):
        predictions, skipped = read_folder(folder, options.lenient)
        settings, notes = read_settings(folder)
        if skipped and any(skipped.values()):
            notes.append("skipped while reading: " + ", ".join(f"{count:,} {what}" for what, count in skipped.items()))
        methods.append(examine(name, predictions, truth, options.subset, options.setting, settings, notes))
    written = write_report(methods, options.out, options.images, options.subset, options.setting, options.crops)
    print(f"wrote {options.out}: {written['bytes'] / 1e6:.2f} MB, {written['crops']:,} crops"
          + (f"; of {written['lost']:,} more the image cannot be read" if written["lost"] else ""))
