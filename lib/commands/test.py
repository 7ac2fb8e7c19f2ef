"""Run a detector over a folder of images and write its detections for `manyfaces evaluate`.

DIR/0--Parade/x.jpg gives OUT/0--Parade/x.txt with float boxes and unrounded scores; with --format coco or fddb OUT is
one file, COCO's result JSON or FDDB's list.

Exit code 0 when at least one image was done (those left out are named and counted), 2 when none could be.
"""

from collections.abc import Sequence

from ..config import check_value
from ..errors import InputError, printable
from ..inference.results import FORMATS, check_format
from .command_line import argument_parser, quiet_decoders, read_numbers
from .detector_options import add_detector_options, detector_from

EXAMPLE = """
manyfaces test --cfg ssh_mobilenet_v1_025 --images data/wider/WIDER_val/images --out output/pred
manyfaces test --cfg ssh_mobilenet_v1_025 --images data/facemask/images --list data/facemask/val.txt \\
    --out output/pred_facemask --scales 0.5,1,2 --flip
manyfaces test --cfg ssh_mobilenet_v1_025 --images data/fddb/originalPics --list data/fddb/FDDB-all.txt \\
    --format fddb --out output/fddb.txt
manyfaces test --cfg ssh_mobilenet_v1_025 --images data/wider/WIDER_val/images --labels data/wider_val.json \\
    --format coco --out output/wider_val.results.json
manyfaces test --weights output/ssh.onnx --images data/wider/WIDER_val/images --out output/pred_onnx
manyfaces evaluate wider --pred output/pred --gt data/wider/ground_truth
"""


def main(arguments: Sequence[str] | None = None) -> int | None:
    """The command line of `manyfaces test`."""
    parser = argument_parser(__doc__, EXAMPLE)
    add_detector_options(parser)
    parser.add_argument("--images", required=True, metavar="DIR", help="folder of images; folders below it are kept")
    parser.add_argument("--out", required=True, metavar="DIR|FILE",
                        help="folder to write the predictions to; the file where the format is coco or fddb")
    parser.add_argument("--format", choices=FORMATS, default="wider",
                        help="wider: a folder of event/name.txt; coco: result JSON; fddb: image, number, "
                        "`x y w h score` per face")
    parser.add_argument("--labels", metavar="FILE", help="COCO annotation .json that has the image ids for --format "
                        "coco; without it images are numbered and OUT.images.json holds the numbers")
    parser.add_argument("--list", metavar="FILE", help="text file of image names below DIR: only these")
    parser.add_argument("--scales", metavar="S,S,...", help="factors, or shorter sides in px where over 10 "
                        "(default: TEST.SCALES of the config)")
    parser.add_argument("--flip", action="store_true", default=None, help="also test each image mirrored")
    parser.add_argument("--resume", action="store_true",
                        help="leave out images whose file is in OUT already; with --format wider only")
    options = parser.parse_args(arguments)
    quiet_decoders()
    scales = read_scales(options.scales)
    check_format(options.format, options.resume, options.labels)

    from ..inference.folder import detect_folder  # late, so that --help does not wait for it
    from ..inference.models import settings_of

    detector = detector_from(options)
    settings = settings_of(detector.cfg, detector.source, scales, options.flip)
    result = detect_folder(detector, options.images, options.out, options.list, scales, options.flip, settings,
                           options.resume, options.format, options.labels)
    return report(result, options.out)


def read_scales(text: str | None) -> list[float] | None:
    """[0.5, 1.0, 2.0] of "0.5,1,2"; None of None."""
    if text is None:
        return None
    scales = read_numbers(text, "--scales", "numbers over 0 such as 0.5,1,2 or 500,800,1200")
    return check_value("TEST.SCALES", scales, "--scales")


def report(result: dict, out: str) -> int:
    """Print the summary of detect_folder; returns the exit code."""
    times = ", ".join(f"{name} {ms:.1f}" for name, ms in result["ms"].items())
    print(f"{out}: {result['images']:,} images, {result['faces']:,} faces in {result['seconds']:.1f} s"
          + (f" (ms per image: {times})" if times else "")
          + (f"; {result['resumed']:,} were there already" if result["resumed"] else ""))
    failed = result["failed"]
    if failed and not result["images"] + result["resumed"]:
        raise InputError("no image could be read")
    if failed:
        first = ", ".join(map(printable, failed[:5]))
        print(f"{len(failed)} images were left out: {first}{', ...' if len(failed) > 5 else ''}")
    return 0
