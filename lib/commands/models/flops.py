"""Print what a config's net costs: output shape, parameters and multiply-adds (MACs) per layer and in total.

For one image of --size; the default is the size that the config fixes, else 640x480. FLOPs are twice the MACs. `others`
are element-wise operations (batch normalisation, activations, sums of maps), which some counters add to the MACs.
"""

import re
from collections.abc import Sequence

from ...config import load_config
from ...errors import InputError
from ..command_line import add_cfg_option, add_set_option, argument_parser

MAX_SIDE = 65535  # px; of a JPEG
EXAMPLE = """
manyfaces flops --cfg ssd_mobilenet_v2_075
manyfaces flops --cfg ssh_mobilenet_v1_025 --size 1024x768
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of `manyfaces flops`."""
    parser = argument_parser(__doc__, EXAMPLE)
    add_cfg_option(parser, required=True)
    parser.add_argument("--size", metavar="WxH", help="of the image in px, such as 640x480")
    add_set_option(parser)
    options = parser.parse_args(arguments)
    cfg = load_config(options.cfg, options.set)
    size = read_size(options.size) if options.size else tuple(cfg.TEST.SIZE) or None

    from ...nets import backend, family  # late, so that --help does not wait for Keras
    from ...nets.flops import input_shape, layer_costs, totals

    backend.prepare()
    model = family(cfg).build()
    costs = layer_costs(model, size)
    width = max(len(cost.name) for cost in costs)
    print(f"{'layer':{width}}  {'kind':18}  {'output':>16}  {'parameters':>12}  {'MACs':>15}  {'others':>11}")
    for cost in costs:
        shape = " x ".join(str(side) for side in cost.shape)
        print(f"{cost.name:{width}}  {cost.kind:18}  {shape:>16}  {cost.parameters:12,}  {cost.macs:15,}  "
              f"{cost.others:11,}")
    total = totals(costs, model)
    height, wide, _ = input_shape(model, size)
    print(f"{cfg.NAME} at {wide} x {height} px: {total['parameters']:,} parameters ({total['trained']:,} trained), "
          f"{total['macs'] / 1e9:.4f} GMAC; and {total['moments']:,} stored moments, and "
          f"{total['others'] / 1e9:.4f} G others (batch normalisation, activations, sums)")


def read_size(text: str) -> tuple[int, int]:
    """(640, 480) of "640x480"."""
    match = re.fullmatch(r"([0-9]{1,5})[xX]([0-9]{1,5})", text)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(0 < side <= MAX_SIDE for side in size):
        raise InputError(f"--size {text[:60]!r}: expected width and height in px up to {MAX_SIDE}, such as 640x480")
    return size
