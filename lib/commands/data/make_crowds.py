"""Make crowds of the images of roidbs: sheets with many of them, each shrunk, and the roidb of all their faces.

For choosing what matters in crowds only (TEST.TOP, TEST.KEEP, NMS) on selection images, which have few faces each.
"""

import sys
from pathlib import Path

from ..command_line import argument_parser, run
from ...datasets.roidb import load_roidb, save_roidb
from ...datasets.toy.crowds import write_crowds
from ...errors import InputError

EXAMPLE = """
tools/make_crowds.py --roidb data/pickles/wider_select.pkl data/pickles/facemask_select.pkl --out output/crowds
tools/test.py --cfg cfgs/tiny_mobilenet_v1_025.yml --images output/crowds --set TEST.TOP 1000 --out output/top_1000
tools/evaluate.py roidb --roidb output/crowds/crowds.pkl --pred output/top_1000
"""


def main(arguments=None):
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("--roidb", nargs="+", required=True, metavar="FILE", help="roidbs of tools/build_roidb.py")
    parser.add_argument("--out", required=True, metavar="DIR", help="crowds/*.jpg and crowds.pkl go there")
    parser.add_argument("--sheets", type=int, default=24, help="number of sheets")
    parser.add_argument("--columns", type=int, default=4, help="images in a row, and rows")
    parser.add_argument("--side", type=int, default=320, help="px: the longer side of an image on a sheet")
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
