"""Export trained weights as ONNX, OpenVINO IR, LiteRT or SavedModel, for use without Keras.

The file takes RGB images (B, H, W, 3) 0..255; normalisation and padding are inside. With --nms (ONNX) its outputs are
faces, otherwise the net's maps, which `manyfaces detect` and manyfaces.Detector decode. MODEL.json beside the file
describes it. Before it is written, its maps are compared with those of Keras on real images: a difference of more than
1e-4 (of the map's largest value, where that is over 1) is an error, and no file is written.
"""

from collections.abc import Sequence

from ...config import load_config
from ..command_line import add_cfg_option, add_set_option, argument_parser, quiet_decoders

EXAMPLE = """
manyfaces export --cfg ssh_mobilenet_v1_025 --out output/ssh.onnx
manyfaces export --cfg ssh_mobilenet_v1_025 --out output/faces.onnx --nms --set TEST.SCORE 0.3
manyfaces export --cfg mine.yml --weights output/mine/best.weights.h5 --out output/int8.xml \\
    --int8 --calibrate data/wider/WIDER_train/images --licence "my own photographs"
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of `manyfaces export`."""
    parser = argument_parser(__doc__, EXAMPLE)
    add_cfg_option(parser, required=True)
    parser.add_argument("--weights", metavar="FILE", help="its .weights.h5 (default: those that ship under its name)")
    parser.add_argument("--out", required=True, metavar="FILE", help="model.onnx, model.xml (OpenVINO), "
                        "model.tflite (LiteRT), or a folder's name without an ending (SavedModel, MTCNN)")
    parser.add_argument("--format", metavar="NAME", help="onnx, openvino, litert or saved_model (default: by the "
                        "ending of --out; of MTCNN onnx)")
    parser.add_argument("--nms", action="store_true", help="decode and suppress inside the graph (onnx); thresholds "
                        "are those of the config's TEST section")
    parser.add_argument("--int8", action="store_true", help="8-bit arithmetic except in the heads (not saved_model)")
    parser.add_argument("--calibrate", metavar="DIR", help="for --int8: images like those that the detector receives")
    parser.add_argument("--half", action="store_true", help="weights stored as float16 (onnx): half the size; the "
                        "arithmetic stays float32")
    parser.add_argument("--images", metavar="DIR", help="images to compare with Keras on, up to 8 (default: two "
                        "portraits and a crowd made of them)")
    parser.add_argument("--licence", metavar="TEXT", help="of the training data (default: what is known of "
                        "TRAIN.DATASETS)")
    add_set_option(parser)
    options = parser.parse_args(arguments)
    quiet_decoders()
    cfg = load_config(options.cfg, options.set)

    from ...export.export import export  # late, so that --help does not wait for it

    facts = export(cfg, options.weights, options.out, options.format, options.nms, options.int8, options.calibrate,
                   options.images, options.licence, half=options.half)
    for runtime, check in facts["checks"].items():
        largest = max(check["differences"], key=check["differences"].get)
        faces = check["faces"]
        found = f"{check['recall']:.1%} of Keras' {faces} faces found" if faces else "Keras finds no face on them"
        print(f"{runtime}: largest difference from Keras on {facts['images']} images {check['difference']:.2e} "
              f"({largest}), at most {check['error']:.1e} of a map's values; {found}")
    print(f"training data: {facts['licence']}")
    print(f"{facts['path']}: {facts['format']}, {facts['precision']}, {facts['bytes'] / 1e6:.2f} MB, "
          f"{facts['seconds']:.1f} s, with {facts['sidecar']}")
