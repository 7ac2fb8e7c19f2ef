"""Compare our detectors with the peers in one run: AP on wider val, wider_crowd and facemask val, and ms per call.

Ours run at the scales of their configs. The scales are added to the name unless they are the original size alone.
"""

from collections.abc import Sequence
from pathlib import Path

from manyfaces.commands.command_line import argument_parser
from manyfaces.files import write_whole

EXAMPLE = """
tools/compare.py --data ../shared/data --peers ../shared/peers --cfg cfgs/ssh_mobilenet_v1_025.yml \\
    --cfg cfgs/tiny_mobilenet_v1_025.yml --csv docs/results/peers.csv
tools/compare.py --data ../shared/data --model output/ssh_openvino.xml --model output/int8.xml \\
    --model output/int8_onnx.onnx@openvino
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of tools/compare.py."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("--data", required=True, metavar="DIR", help="holds wider, wider_crowd, wider_eval, facemask")
    parser.add_argument("--peers", metavar="DIR", help="holds yunet/ and ultralight/ with their ONNX files")
    parser.add_argument("--cfg", action="append", metavar="FILE",
                        help="ours; may be repeated (default without --model: cfgs/ssh_mobilenet_v1_025.yml)")
    parser.add_argument("--model", action="append", default=[], metavar="FILE[@RUNTIME]",
                        help="an exported model, in the fastest installed runtime or in the given one; may be repeated")
    parser.add_argument("--weights", metavar="FILE", help="of the one --cfg (default: the shipped ones)")
    parser.add_argument("--pickles", default="data/pickles", metavar="DIR", help="roidbs")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="only the first N images of each set; 0: all")
    parser.add_argument("--pred", metavar="DIR", help="also write the detections to DIR/DETECTOR/SET, for "
                        "tools/evaluate.py")
    parser.add_argument("--csv", metavar="FILE", help="also write the table there")
    options = parser.parse_args(arguments)

    from manyfaces import Detector, runtimes
    from manyfaces.config import load_config
    from manyfaces.inference.models import load_detector
    from manyfaces.pretrained import model_file
    from manyfaces.runtimes.foreign import is_foreign

    from . import as_csv, peers
    from .detectors import compare

    detectors = {}
    named = tuple(f"@{name}" for name in runtimes.RUNTIMES)

    def add(name, kind, detector):
        scales = detector.cfg.TEST.SCALES
        pyramid = f" at {', '.join(f'{scale:g}' for scale in scales)}" if list(scales) != [1] else ""
        detectors[f"{name}{pyramid} ({kind})"] = detector.detect

    for word in options.model:
        path, _, runtime = word.rpartition("@") if word.endswith(named) else (word, "", None)
        precision = "float32" if is_foreign(path) else runtimes.read_sidecar(path)["precision"]
        add(word, precision, Detector.load(path, runtime=runtime))
    for path in options.cfg or ([] if options.model else ["cfgs/ssh_mobilenet_v1_025.yml"]):
        cfg = load_config(path)
        add(cfg.NAME, "Keras", load_detector(cfg, options.weights))
        if not options.weights and model_file(cfg.NAME):
            for runtime in sorted(set(runtimes.readers(model_file(cfg.NAME))) & set(runtimes.installed())):
                add(cfg.NAME, runtime, Detector.load(cfg.NAME, runtime=runtime))
    if options.peers:
        folder = Path(options.peers)
        detectors["YuNet-n (OpenCV)"] = peers.yunet(folder / "yunet" / "yunet_n_dynamic.onnx")
        detectors["Ultra-Light RFB-640 (ONNX Runtime)"] = peers.ultralight(
            folder / "ultralight" / "version-RFB-640.onnx")
    missing = [name for name, detect in detectors.items() if detect is None]
    for name in missing:
        print(f"left out, its runtime is not installed: {name}")
        del detectors[name]
    table = compare(detectors, options.data, options.pickles, options.limit, options.pred)
    print(table.text())
    if options.csv:
        write_whole(options.csv, as_csv([table]).encode())
        print(f"wrote {options.csv}")
