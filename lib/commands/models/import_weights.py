"""Make .weights.h5 files from those of another framework: a backbone's for NET.WEIGHTS, RetinaFace, MTCNN's three."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from ...errors import InputError, Range, check_number
from ..command_line import argument_parser, as_called

EXAMPLE = """
manyfaces import mobilenet_v1_025 --source mobilenetV1X0.25_pretrain.tar \\
    --out data/imagenet/mobilenet_v1_025.weights.h5
manyfaces import mobilenet_v2_100 --source imagenet_folded_f16.npz --images data/wider/WIDER_train/images \\
    --out data/imagenet/mobilenet_v2_100.weights.h5
manyfaces import slim --net resnet_v1_101 --source resnet_v1_101.ckpt \\
    --out data/imagenet/resnet101_slim.weights.h5
manyfaces import retinaface --source mobilenet0.25_Final.pth \\
    --out data/retinaface/retinaface_mobilenet_v1_025.weights.h5
manyfaces import mtcnn --source mtcnn_tf1 --out-dir output/mtcnn_tf1
"""
SLIM_NETS = ("vgg_16", "resnet_v1_50", "resnet_v1_101", "resnet_v1_152", "mobilenet_v1", "mobilenet_v2")
TOLERANCE = {"mobilenet_v1_025": 1e-3, "retinaface": 1e-4}  # absolute, of maps that reach 180, of outputs that reach 6


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of `manyfaces import`."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("net", choices=["mobilenet_v1_025", "mobilenet_v2_100", "slim", "retinaface", "mtcnn"],
                        help="what the source holds")
    parser.add_argument("--source", required=True, metavar="FILE|DIR",
                        help="mobilenet_v1_025: the PyTorch state dict (PyTorch itself is "
                        "not needed); mobilenet_v2_100: .npz with batch normalisation folded into the convolutions; "
                        "slim: a TF-Slim checkpoint, NAME.ckpt; retinaface: the PyTorch state dict of RetinaFace "
                        "on MobileNetV1 x0.25; mtcnn: the folder of PNet-N, RNet-N and ONet-N "
                        "(TensorFlow 1 checkpoints), or facenet-pytorch's data folder")
    parser.add_argument("--out", metavar="FILE", help="the .weights.h5 to write")
    parser.add_argument("--out-dir", metavar="DIR", help="mtcnn: folder for pnet.weights.h5, rnet.weights.h5, "
                        "onet.weights.h5, and mtcnn.yml, the config to use them with")
    parser.add_argument("--reference", metavar="FILE",
                        help=".npz with an image and the source net's maps, which the imported net "
                        "must give (mobilenet_v1_025, retinaface)")
    parser.add_argument("--images", metavar="DIR", help="mobilenet_v2_100: images that give the moments of batch "
                        "normalisation; the net computes the same without them, but its training starts worse")
    parser.add_argument("--net", dest="slim_net", choices=SLIM_NETS, help="slim: the net, by slim's name")
    parser.add_argument("--alpha", type=float, default=1.0, help="slim: width (depth) multiplier of a MobileNet")
    options = parser.parse_args(arguments)
    if options.net == "mtcnn":
        import_mtcnn(options)
        return
    if not options.out or options.out_dir:
        raise InputError(f"{options.net}: expected --out FILE.weights.h5; --out-dir is for mtcnn")
    if options.net == "slim" and not options.slim_net:
        raise InputError(f"slim needs --net, one of {', '.join(SLIM_NETS)}")
    if options.net != "slim" and (options.slim_net or options.alpha != 1.0):
        raise InputError("--net and --alpha are for slim")
    check_number(options.alpha, "--alpha", Range(over=0))
    v2 = options.net == "mobilenet_v2_100"
    if options.reference and options.net not in TOLERANCE:
        raise InputError(f"--reference is for {' and '.join(TOLERANCE)}")
    if options.images and not v2:
        raise InputError("--images is for mobilenet_v2_100: the other sources have their moments")
    if options.net == "retinaface":
        import_retinaface(options)
        return
    from ...weights import backbones as import_weights  # late, so that --help does not wait for Keras

    if options.reference:
        model = import_weights.mobilenet_v1_from_torch(options.source, preprocess="none")
        rows = import_weights.compare_with_reference(model, options.reference)
        for tap, absolute, relative in rows:
            print(f"{tap}: largest difference {absolute:.2e} absolute, {relative:.2e} of the map's largest value")
        tap, worst, _ = max(rows, key=lambda row: row[1])
        _check_difference(options, tap, worst)
    if options.net == "slim":
        from ...weights.slim import backbone_from_slim

        model, report = backbone_from_slim(options.slim_net, options.source, options.alpha)
        print(report)
    elif v2:
        from ...weights.folded import mobilenet_v2_from_folded

        model = mobilenet_v2_from_folded(options.source, options.images)
    else:
        model = import_weights.mobilenet_v1_from_torch(options.source)
    import_weights.save_backbone_weights(model, options.out)
    print(f"{options.out}: {model.count_params():,} parameters")


def _check_difference(options, name, worst):
    tolerance = TOLERANCE[options.net]
    if not worst <= tolerance:  # also when it is not a number
        raise InputError(f"{options.source}: {name} differs from {options.reference} by {worst:.2e}, expected at most "
                         f"{tolerance:.0e}; nothing written")


def import_retinaface(options: Namespace) -> None:
    """Write the weights of a RetinaFace, for cfgs/retinaface_mobilenet_v1_025.yml."""
    if not options.out.endswith(".weights.h5"):
        raise InputError(f"{options.out}: expected a name that ends in .weights.h5")
    from ...nets import backend

    backend.prepare()
    from ...weights import retinaface
    from ...weights.files import save_weights

    model, cfg = retinaface.import_retinaface(options.source)
    if options.reference:
        for name, difference in retinaface.compare_with_reference(model, options.reference):
            print(f"{name}: largest difference {difference:.2e}")
            _check_difference(options, name, difference)
    Path(options.out).parent.mkdir(parents=True, exist_ok=True)
    save_weights(model, options.out, cfg)
    print(f"{options.out}: {model.count_params():,} parameters; use it with --cfg {cfg.NAME}")


def import_mtcnn(options: Namespace) -> None:
    """Write the three nets of MTCNN and their config."""
    if not options.out_dir or options.out:
        raise InputError("mtcnn: expected --out-dir DIR for three files; --out is for backbones")
    from ...nets import backend

    backend.prepare()
    from ...weights.mtcnn import import_mtcnn as convert

    _, weights = convert(options.source, options.out_dir)
    print(as_called(f"{options.out_dir}: the three nets; manyfaces test --cfg {options.out_dir}/mtcnn.yml "
                    f"--weights {weights}"))
