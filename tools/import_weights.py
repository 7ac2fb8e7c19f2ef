#!/usr/bin/env python
"""Make a backbone's .weights.h5 from a file of another framework.

tools/import_weights.py mobilenet_v1_025 --source STATE_DICT --out data/imagenet/mobilenet_v1_025.weights.h5
"""

import argparse
import sys
from pathlib import Path

from manyfaces.errors import InputError

TOLERANCE = 1e-3  # absolute, of maps that reach 180


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("net", choices=["mobilenet_v1_025"])
    parser.add_argument("--source", required=True, help="PyTorch state dict")
    parser.add_argument("--out", required=True, help="where the .weights.h5 goes")
    parser.add_argument("--reference", help=".npz with an image and the source net's maps, which must come out again")
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_arguments(arguments)
    from manyfaces.engine import import_weights  # late: loads Keras

    try:
        if args.reference:
            model = import_weights.mobilenet_v1_from_torch(args.source, preprocess="none")
            rows = import_weights.compare_with_reference(model, args.reference)
            for tap, absolute, relative in rows:
                print(f"{tap}: largest difference {absolute:.2e} absolute, {relative:.2e} of the map's largest value")
            worst = max(rows, key=lambda row: row[1])
            if not worst[1] <= TOLERANCE:
                raise InputError(
                    f"{args.source}: {worst[0]} differs from {args.reference} by {worst[1]:.2e}, "
                    f"expected at most {TOLERANCE:.0e}; nothing written"
                )
        model = import_weights.mobilenet_v1_from_torch(args.source)
        import_weights.save_backbone_weights(model, Path(args.out))
        print(f"{args.out}: {model.count_params():,} parameters")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
