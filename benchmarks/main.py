"""Compare the compiled parts with their NumPy twins and with peers: milliseconds, and ratios within one run."""

import argparse
from collections.abc import Sequence

from manyfaces.commands.command_line import argument_parser
from manyfaces.errors import shown
from manyfaces.files import write_whole

from . import SECTIONS, as_csv, run_section

EXAMPLE = """
tools/benchmark.py                        # every section
tools/benchmark.py nms targets --csv output/benchmark.csv
tools/benchmark.py nms --device cuda      # on an NVIDIA GPU
tools/benchmark.py detectors --data ../shared/data --peers ../shared/peers --csv docs/results/detectors.csv
tools/benchmark.py detectors --also "SCRFD-2.5G=scrfd_2.5g.onnx" --limit 20
tools/benchmark.py backbones --nets tiny_resnet101,ssh_vgg16 --csv docs/results/backbones.csv
tools/benchmark.py memory --size 6000x4000
tools/benchmark.py bulk --images 200,2000,20000 --csv output/bulk.csv
tools/benchmark.py service --csv docs/results/service.csv
tools/benchmark.py wider --pred output/ssh_mobilenet_v1_025/pred --gt data/wider/ground_truth
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of tools/benchmark.py."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("sections", nargs="*", metavar="SECTION",
                        help="; ".join(f"{name}: {what}" for name, what in SECTIONS.items()) + " (default: all)")
    parser.add_argument("--csv", metavar="FILE", help="also write the figures there: table, row, column, value, "
                        "and for times versions, processor and cores")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="section nms: cuda proves and times "
                        "the kernels for NVIDIA GPUs (docs/gpu.md)")
    parser.add_argument("--counts", type=whole_numbers, metavar="N,N", help="section nms: numbers of boxes")
    parser.add_argument("--pred", metavar="DIR", help="section wider: predictions to evaluate instead of made-up ones")
    parser.add_argument("--gt", metavar="DIR", help="section wider: the official ground truth they belong to")
    parser.add_argument("--every", type=int, default=1, metavar="N",
                        help="section wider: only every N-th image; the plain loops take a minute on the whole set")
    parser.add_argument("--data", default="../shared/data", metavar="DIR",
                        help="detectors, mtcnn: holds wider_events, wider_crowd, wider, wider_eval (default: "
                        "%(default)s)")
    parser.add_argument("--peers", default="../shared/peers", metavar="DIR",
                        help="section detectors: holds yunet/ and ultralight/, their ONNX files (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=0, metavar="N",
                        help="sections detectors and mtcnn: only the first N images of each set; 0: all")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=FILE[@RUNTIME]",
                        help="section detectors: a further one at original size, such as SCRFD's .onnx or an exported "
                        "RetinaFace; may be repeated")
    parser.add_argument("--mtcnn", metavar="FILE", help="section mtcnn: also the exported cascade in this folder")
    parser.add_argument("--tf1", default="../shared/weights/mtcnn_tf1", metavar="DIR",
                        help="section mtcnn: TensorFlow 1 checkpoints, left out where there are none (default: "
                        "%(default)s)")
    parser.add_argument("--nets", metavar="NAME,NAME", help="section backbones: only these configs, e.g. tiny_vgg16")
    parser.add_argument("--repeats", type=int, default=5, metavar="N",
                        help="section backbones: calls of a net in each runtime; the median counts")
    parser.add_argument("--size", default="6000x4000", metavar="WxH",
                        help="section memory: px of the image (default: %(default)s)")
    parser.add_argument("--images", type=whole_numbers, default=[200], metavar="N,N",
                        help="section bulk: numbers of images (default: 200)")
    parser.add_argument("--side", type=int, default=160, metavar="PX", help="section bulk: longer side of the images")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="section bulk: workers of an engine")
    parser.add_argument("--engines", default="plain,local,ray,nodes", metavar="NAME,NAME",
                        help="section bulk: only these (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=10_000, metavar="N", help="section service: of the run that "
                        "watches memory")
    parser.add_argument("--stops", type=int, default=20, metavar="N", help="section service: SIGTERMs under load")
    options = parser.parse_args(arguments)
    tables = []
    given = {"nms": {"counts": options.counts, "device": options.device},
             "wider": {"pred": options.pred, "gt": options.gt, "every": max(1, options.every)},
             "detectors": {"data": options.data, "peers": options.peers, "limit": options.limit,
                           "also": options.also},
             "backbones": {"repeats": max(1, options.repeats), "names": options.nets and options.nets.split(",")},
             "mtcnn": {"data": options.data, "limit": options.limit, "model": options.mtcnn,
                       "tf1": options.tf1},
             "memory": {"size": options.size},
             "bulk": {"images": options.images, "engines": options.engines.split(","), "side": options.side,
                      "workers": options.workers},
             "service": {"requests": options.requests, "stops": options.stops}}
    for name in options.sections or SECTIONS:
        for table in run_section(name, **given.get(name, {})):
            print(table.text(), end="\n\n", flush=True)
            tables.append(table)
    if options.csv:
        write_whole(options.csv, as_csv(tables).encode())
        print(f"wrote {options.csv}")


def whole_numbers(text: str) -> list[int]:
    """Those of a list such as 1000,5000; an error of argparse if one is none, or below 1."""
    numbers = [int(each) for each in text.split(",") if each.strip().isdecimal()]
    if len(numbers) != text.count(",") + 1 or min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"found {shown(text)}, expected whole numbers such as 1000,5000")
    return numbers
