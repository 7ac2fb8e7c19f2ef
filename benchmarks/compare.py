"""Compare our detectors with the peers in one run: AP on parts of WIDER val and on facemask val, and ms per call.

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
    parser.add_argument("--data", required=True, metavar="DIR", help="holds wider_events, wider_crowd, wider, "
                        "wider_eval, facemask")
    parser.add_argument("--peers", metavar="DIR", help="holds yunet/ and ultralight/ with their ONNX files")
    parser.add_argument("--cfg", action="append", metavar="FILE",
                        help="ours; may be repeated (default without --model: cfgs/ssh_mobilenet_v1_025.yml)")
    parser.add_argument("--model", action="append", default=[], metavar="FILE[@RUNTIME]",
                        help="an exported model, in the fastest installed runtime or in the given one; may be repeated")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=FILE[@RUNTIME]",
                        help="a further peer, such as SCRFD's .onnx or an exported RetinaFace; may be repeated")
    parser.add_argument("--weights", metavar="FILE", help="of the one --cfg (default: the shipped ones)")
    parser.add_argument("--pickles", default="data/pickles", metavar="DIR", help="roidbs")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="only the first N images of each set; 0: all")
    parser.add_argument("--pred", metavar="DIR", help="also write the detections to DIR/DETECTOR/SET, for "
                        "tools/evaluate.py")
    parser.add_argument("--csv", metavar="FILE", help="also write the table there")
    options = parser.parse_args(arguments)

    from manyfaces import runtimes
    from manyfaces.config import load_config
    from manyfaces.inference.models import load_detector
    from manyfaces.pretrained import model_file
    from manyfaces.runtimes.foreign import is_foreign

    from . import as_csv, machine
    from .detectors import ULTRALIGHT, YUNET, compare
    from .entry import Entry, everything, given, model_entry, open_all
    from .peers import FILES

    detectors, packages = {}, {}

    def add(name, kind, detect, runtime):
        scales = detect.func.__self__.cfg.TEST.SCALES
        pyramid = f" at {', '.join(f'{scale:g}' for scale in scales)}" if list(scales) != [1] else ""
        name = f"{name}{pyramid} ({kind})"
        detectors[name], packages[name] = detect, machine.packages_of(runtime)

    for word in options.model:
        entry = model_entry(word)
        path, runtime = entry.arguments
        add(word, "float32" if is_foreign(path) else runtimes.read_sidecar(path)["precision"], entry.open(), runtime)
    for path in options.cfg or ([] if options.model else ["cfgs/ssh_mobilenet_v1_025.yml"]):
        cfg = load_config(path)
        add(cfg.NAME, "Keras", everything(load_detector(cfg, options.weights)), "keras")
        if not options.weights and model_file(cfg.NAME):
            for runtime in sorted(set(runtimes.readers(model_file(cfg.NAME))) & set(runtimes.installed())):
                add(cfg.NAME, runtime, Entry("ours", (cfg.NAME, runtime)).open(), runtime)
    entries = given(options.also)
    if options.peers:
        yunet, ultralight = (str(Path(options.peers) / FILES[name]) for name in ("yunet", "ultralight"))
        entries = {YUNET: Entry("yunet", (yunet,)), ULTRALIGHT: Entry("ultralight", (ultralight,), "onnxruntime"),
                   **entries}
    others, reasons = open_all(entries)
    for name, reason in reasons.items():
        print(f"left out: {name}: {reason}")
    detectors |= others
    packages |= {name: entries[name].packages for name in others}
    table = compare(detectors, options.data, options.pickles, options.limit, options.pred, packages)
    print(table.text())
    if options.csv:
        write_whole(options.csv, as_csv([table]).encode())
        print(f"wrote {options.csv}")
