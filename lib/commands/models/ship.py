"""Put a training's weights where the package finds them by name: weights, config, ONNX and its sidecar.

Such a detector is found by Detector.load("NAME") and by every tool that is given cfgs/NAME.yml without --weights.
The ONNX is compared with Keras before anything is written. The model card, NAME.md, is yours to write. MTCNN's three
nets ship together: --run takes the folder that their trainings are in.
"""

from collections.abc import Sequence
from pathlib import Path

from ..command_line import add_set_option, argument_parser, quiet_decoders

EXAMPLE = """
manyfaces ship --run output/ssh_mobilenet_v1_025 --set TEST.NMS 0.4 TEST.DEMO_SCORE 0.55
manyfaces ship --run output/grid_mobilenet_v2_100 --half
manyfaces ship --run output --set CASCADE.THRESHOLDS "[0.6, 0.7, 0.7]"                    # mtcnn_pnet, _rnet, _onet
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of `manyfaces ship`."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("--run", required=True, metavar="DIR", help="output/NAME of a training; output, or another "
                        "folder that holds mtcnn_pnet, mtcnn_rnet and mtcnn_onet, for MTCNN")
    parser.add_argument("--weights", metavar="FILE", help="(default: best.weights.h5 of the run, else last); of MTCNN "
                        "the folder of a cascade")
    parser.add_argument("--name", help="name under which it ships (default: the training's)")
    parser.add_argument("--to", metavar="DIR", help="(default: the package's own folder of weights)")
    parser.add_argument("--half", action="store_true", help="store the weights as float16, half as large; the "
                        "arithmetic stays float32")
    parser.add_argument("--licence", metavar="TEXT", help="of the training data (default: what is known of "
                        "TRAIN.DATASETS)")
    add_set_option(parser, ", such as thresholds that were chosen after the training")
    options = parser.parse_args(arguments)
    quiet_decoders()

    from ... import pretrained
    from ...export.ship import ship  # late, so that --help does not wait for Keras

    sizes, facts = ship(options.run, options.to, options.name, options.weights, options.set, options.half,
                        options.licence)
    for name, size in sizes.items():
        print(f"{Path(options.to or pretrained.FOLDER) / name}: {size:,} bytes")
    for runtime, check in facts["checks"].items():
        print(f"{runtime}: differs from Keras by at most {check['error']:.1e} of a map's values on {facts['images']} "
              f"images")
    print(f"training data: {facts['licence']}")
