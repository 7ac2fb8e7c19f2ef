"""Find faces in very many images, on one machine or on a cluster, and write them as Parquet: one row per image.

SOURCE is a folder, a text file that lists images, Parquet files with paths or bytes, tar shards in WebDataset's layout,
or an address of such files that pyarrow or fsspec reads. DIR gets one Parquet file per part of the images. Each row has
path, width, height, boxes, scores, landmarks, model and error. An image that cannot be read is a row with its error.

The same command continues after a stop, a kill or a crash: what is there is left out, so each image has one row.
`manyfaces bulk read DIR` counts the rows, draws some, and converts them.

Exit code 0 when all images have a row and at least one could be read; 2 when none could; 128 + the number of the signal
that stopped it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence

from ...constants import DEFAULT_DETECTOR
from ...errors import InputError
from ..command_line import argument_parser, call, quiet_decoders
from ..detector_options import add_detector_options
from ..test import read_scales
from . import read

EXAMPLE = """
manyfaces bulk photos/ --out found
manyfaces bulk 'shards/*.tar' --out found --workers 8
manyfaces bulk photos.parquet --out found --address auto --gpus 0.5
manyfaces bulk read found --json found.jsonl --sample 20 --draw pictures
"""


def main(arguments: Sequence[str] | None = None) -> int | None:
    """The command line of `manyfaces bulk`; that of `manyfaces bulk read` where this is the first word."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["read"]:
        return call("manyfaces bulk read", read.main, words[1:])
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("source", metavar="SOURCE", help="folder, list, .parquet, .tar, a quoted pattern of these, or "
                        "an address (./read for a folder named read)")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of this machine for the rows")
    add_detector_options(parser, DEFAULT_DETECTOR)
    parser.set_defaults(threads=1)
    parser.add_argument("--score", type=float, metavar="S", help="lowest score of a face (default: TEST.DEMO_SCORE of "
                        "the config; 0 for an evaluation)")
    parser.add_argument("--scales", metavar="S,S,...", help="as of `manyfaces test`")
    parser.add_argument("--flip", action="store_true", default=None, help="also search each image mirrored")
    parser.add_argument("--workers", type=int, metavar="N", help="processes with a detector each (default: one per "
                        "core, or per CPU slot of the cluster)")
    parser.add_argument("--rows", type=int, metavar="N", help="images of a part, which is repeated when its worker "
                        "dies (default: 16 to 256, by the number of images)")
    parser.add_argument("--root", metavar="DIR", help="folder of relative paths in a list or in Parquet files "
                        "(default: that of the file)")
    parser.add_argument("--image-column", metavar="NAME", help="of Parquet files: the bytes (default: found by type)")
    parser.add_argument("--path-column", metavar="NAME", help="of Parquet files: the paths, or the names of the bytes; "
                        "'': rows are numbered (default: found by name)")
    parser.add_argument("--again", action="store_true", help="do finished parts that hold errors again, for example "
                        "after a disk was missing")
    parser.add_argument("--engine", choices=("local", "ray"), help="local: processes of this machine; ray: Ray Data "
                        "(default: ray with --address or --gpus, else local)")
    parser.add_argument("--address", metavar="HOST:PORT", help="of a running Ray cluster, or auto: the one that this "
                        "machine belongs to (default: Ray is started here)")
    parser.add_argument("--gpus", type=float, default=0.0, metavar="G", help="GPUs of a worker of Ray, such as 1 or "
                        "0.25")
    options = parser.parse_args(words)
    quiet_decoders()
    scales = read_scales(options.scales)
    try:
        from ...bulk.run import run_bulk
        from ...bulk.sources.find import find_source
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        raise InputError("the package pyarrow is not installed: pip install pyarrow, or with Ray for several machines "
                         "pip install 'manyfaces[bulk]'") from None
    from ...inference.loading import detector_of
    from ...inference.models import settings_of

    source = find_source(options.source, options.root, options.image_column, options.path_column)
    for note in source.notes:
        print(f"note: {note}", file=sys.stderr, flush=True)
    opener = functools.partial(detector_of, options.cfg, options.weights, options.set, options.runtime,
                               options.threads, DEFAULT_DETECTOR, options.precision)

    def settings(detector):
        return {"runtime": options.runtime, "precision": options.precision,
                **settings_of(detector.cfg, detector.source, scales, options.flip)}

    done = run_bulk(source, options.out, opener, options.score, scales, options.flip, settings, options.rows,
                    options.workers, options.address, options.gpus, options.engine, options.again)
    print(f"{options.out}: {done.images:,} images, {done.faces:,} faces"
          + (f"; {done.errors:,} could not be read" if done.errors else "")
          + (f"; {done.before:,} were there already" if done.before else ""))
    if done.signal:
        return 128 + done.signal
    if done.errors == done.total:
        raise InputError(f"no image could be read; `manyfaces bulk read {options.out}` shows why")
    return 0
