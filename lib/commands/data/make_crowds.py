"""Make crowds out of the images of roidbs: sheets of many shrunk images, and the roidb of all their faces.

They serve to choose what matters only in crowds (TEST.TOP, TEST.KEEP, NMS) on selection images, which have few faces
each.
"""

from collections.abc import Sequence
from pathlib import Path

from ...datasets.roidb import load_roidb, save_roidb
from ...datasets.toy.crowds import write_crowds
from ...errors import InputError
from ..command_line import argument_parser

EXAMPLE = """
manyfaces data crowds --roidb data/pickles/wider_select.pkl data/pickles/facemask_select.pkl --out output/crowds
manyfaces test --cfg tiny_mobilenet_v1_025 --images output/crowds --set TEST.TOP 1000 --out output/top_1000
manyfaces evaluate roidb --roidb output/crowds/crowds.pkl --pred output/top_1000
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of `manyfaces data crowds`."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("--roidb", nargs="+", required=True, metavar="FILE", help="roidbs of `manyfaces data build`")
    parser.add_argument("--out", required=True, metavar="DIR", help="crowds/*.jpg and crowds.pkl go there")
    parser.add_argument("--sheets", type=int, default=24, help="number of sheets")
    parser.add_argument("--columns", type=int, default=4, help="images per row, and rows per sheet")
    parser.add_argument("--side", type=int, default=320, help="longer side of an image on a sheet, px")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other images")
    options = parser.parse_args(arguments)
    for name, least in (("sheets", 1), ("columns", 1), ("side", 16), ("seed", 0)):
        if getattr(options, name) < least:
            raise InputError(f"--{name} {getattr(options, name)}: expected at least {least}")
    records = [record for path in options.roidb for record in load_roidb(path).records]
    roidb = write_crowds(records, options.out, options.sheets, options.columns, options.side, options.seed)
    path = Path(options.out, "crowds.pkl")
    save_roidb(roidb, path)
    faces = sum(len(record.boxes) for record in roidb.records)
    print(f"wrote {path}: {len(roidb)} sheets, {faces:,} faces")
