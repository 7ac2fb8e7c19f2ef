#!/usr/bin/env python3
"""Make a backbone's .weights.h5, as NET.WEIGHTS takes it, from a file of another framework."""

import sys

from manyfaces.command_line import argument_parser, run
from manyfaces.errors import InputError

EXAMPLE = """
tools/import_weights.py mobilenet_v1_025 --source mobilenetV1X0.25_pretrain.tar \\
    --out data/imagenet/mobilenet_v1_025.weights.h5
"""
TOLERANCE = 1e-3  # absolute, of maps that reach 180


def main(arguments=None):
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("net", choices=["mobilenet_v1_025"], help="what the source holds")
    parser.add_argument("--source", required=True, help="the PyTorch state dict; PyTorch itself is not needed")
    parser.add_argument("--out", required=True, help="the .weights.h5 to write")
    parser.add_argument("--reference", help=".npz with an image and the source net's maps, which must come out again")
    options = parser.parse_args(arguments)
    from manyfaces.engine import import_weights  # late: loads Keras, and --help need not wait for it

    if options.reference:
        model = import_weights.mobilenet_v1_from_torch(options.source, preprocess="none")
        rows = import_weights.compare_with_reference(model, options.reference)
        for tap, absolute, relative in rows:
            print(f"{tap}: largest difference {absolute:.2e} absolute, {relative:.2e} of the map's largest value")
        tap, worst, _ = max(rows, key=lambda row: row[1])
        if not worst <= TOLERANCE:  # also when it is not a number
            raise InputError(
                f"{options.source}: {tap} differs from {options.reference} by {worst:.2e}, "
                f"expected at most {TOLERANCE:.0e}; nothing written"
            )
    model = import_weights.mobilenet_v1_from_torch(options.source)
    import_weights.save_backbone_weights(model, options.out)
    print(f"{options.out}: {model.count_params():,} parameters")


if __name__ == "__main__":
    sys.exit(run(main))
