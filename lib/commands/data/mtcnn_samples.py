"""Cut the samples that a stage of MTCNN learns from; R-Net and O-Net also get what the earlier stages detect.

The data sets are those of the config: TRAIN.DATASETS and TRAIN.SELECT for faces and background, MTCNN.LANDMARKS and
MTCNN.SELECT_LANDMARKS for points. The samples go to MTCNN.SAMPLES (output/samples/STAGE) as TFRecords. After an
interruption the same command continues, and finished shards are not made again.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from easydict import EasyDict

from ...config import load_config
from ...data_layer.mtcnn.batches import samples_folder
from ...data_layer.mtcnn.folder import SampleFolder
from ...data_layer.mtcnn.sample_list import write_list
from ...data_layer.mtcnn.writer import SampleMaker, Sources
from ...engine.records import config_records
from ...errors import InputError
from ...progress import Progress
from ..command_line import add_cfg_option, add_set_option, argument_parser

EXAMPLE = """
manyfaces data samples --stage pnet
manyfaces data samples --stage rnet --set MTCNN.PNET output/mtcnn_pnet/best.weights.h5
manyfaces data samples --stage onet --list data/onet_list/list.txt    # also the crops as files
"""
SIDES = {"pnet": 12, "rnet": 24, "onet": 48}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of `manyfaces data samples`."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("--stage", required=True, choices=SIDES, help="the net that learns from them")
    add_cfg_option(parser, " (default: mtcnn_STAGE)")
    parser.add_argument("--list", metavar="FILE", help="also write the training samples as a text list, `image label "
                        "box landmarks`, with the crops as .png beside it")
    parser.add_argument("--overwrite", "--anew", action="store_true",
                        help="remove the samples that exist and make all again")
    add_set_option(parser)
    options = parser.parse_args(arguments)
    cfg = load_config(options.cfg or f"mtcnn_{options.stage}", options.set)
    if cfg.MTCNN.STAGE != options.stage:
        raise InputError(f"{options.cfg}: MTCNN.STAGE is {cfg.MTCNN.STAGE}, --stage is {options.stage}")
    parts = {"train": sources(cfg, cfg.TRAIN.DATASETS, cfg.MTCNN.LANDMARKS),
             "select": sources(cfg, cfg.TRAIN.SELECT, cfg.MTCNN.SELECT_LANDMARKS)}

    from ...engine.mining import miner  # late: loads Keras where a cascade mines

    folder = SampleFolder(samples_folder(cfg))
    maker = SampleMaker(cfg, SIDES[options.stage], parts, *miner(cfg))
    folder.begin(maker.settings(), options.overwrite)
    lines = make(folder, maker)
    if options.list:  # before the counts: the reader of the output may end early
        path = Path(options.list)
        with Progress(sum(folder.counts("train").values()), "samples") as progress:
            lines.append(f"{write_list(folder, path, progress):,} lines in {path}")
    print("\n".join(lines))


def sources(cfg: EasyDict, datasets: str, landmarks: str) -> Sources:
    """The records of data sets joined by +, none for an empty text."""
    return Sources(*(config_records(cfg, names)[0] if names else [] for names in (datasets, landmarks)))


def make(folder: SampleFolder, maker: SampleMaker) -> list[str]:
    """Make the missing shards; lines that say the samples, the speed and the memory."""
    def totals():
        rows = [row for part in maker.parts for row in folder.shards[part].values()]
        return (sum(row["images"] for row in rows), sum(sum(row["records"].values()) for row in rows), rows)

    images, samples, _ = totals()
    every = sum(len(part.tasks) for part in maker.parts.values())
    began, worked = time.perf_counter(), time.process_time()
    if images < every:
        with Progress(every, "images", done=images) as progress:
            maker.run(folder, progress)
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    lines = [f"{part}: " + ", ".join(f"{count:,} {kind}" for kind, count in folder.counts(part).items())
             for part in maker.parts]
    now, made, rows = totals()
    if maker.propose:
        faces, found = (sum(row[key] for row in rows) for key in ("faces", "found"))
        lines.append(f"the cascade so far finds {found:,} of {faces:,} faces ({found / max(1, faces):.2%})")
    if unreadable := sum(len(row["unreadable"]) for row in rows):
        lines.append(f"{unreadable} images could not be read and were left out")
    if now > images:
        lines.append(f"{made - samples:,} samples of {now - images:,} images in {seconds:.1f} s: "
                     f"{(made - samples) / seconds:,.0f} samples/s, {(now - images) / seconds:.1f} images/s "
                     f"({(now - images) / worked:.1f} per second of processor time), peak memory "
                     f"{peak_megabytes():,.0f} MB")
    lines.append(f"samples are in {folder.path}")
    return lines


def peak_megabytes() -> float:
    """Peak memory of this process, MB; NaN on Windows, which does not tell."""
    try:
        import resource
    except ImportError:
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
