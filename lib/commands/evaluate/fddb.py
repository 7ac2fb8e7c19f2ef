"""`manyfaces evaluate fddb`: discrete and continuous ROC of FDDB."""

import contextlib
import os
import time
from argparse import ArgumentParser, Namespace

from ...errors import InputError, printable
from ...evaluation.fddb import POINTS, evaluate_fddb, read_detections, read_fddb, read_sizes
from ...evaluation.files.readings import reading_warnings
from ...evaluation.tables import print_table
from ...files import write_whole
from ...progress import Progress
from .shared import write_json

KINDS = ("discrete", "continuous")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of this protocol."""
    parser.add_argument("--annotations", required=True, metavar="DIR",
                        help="folder of FDDB-fold-01-ellipseList.txt to FDDB-fold-10-ellipseList.txt")
    parser.add_argument("--images", required=True, metavar="DIR",
                        help="folder of the images, such as originalPics: masks end at the border of the image")
    parser.add_argument("--pred", required=True, action="append", metavar="FILE",
                        help="detections: image, number, then `x y w h score` or `major minor angle cx cy score` a "
                             "face; or a folder of fold-NN-out.txt; may be given several times")
    parser.add_argument("--json", metavar="FILE", help="also write the results to FILE")
    parser.add_argument("--plot", metavar="FILE", help="draw both curves: FILE.png and FILE.pdf")
    parser.add_argument("--roc", metavar="PREFIX", help="write each curve as the benchmark's program does: "
                        "PREFIXDiscROC.txt (rate, false positives, score) and PREFIXContROC.txt; one --pred only")


def evaluate(options: Namespace) -> None:
    """Evaluate, print the tables and write --json."""
    if options.roc and len(options.pred) > 1:
        raise InputError("--roc: writes the curves of one --pred, found several; call it once for each")
    folds = read_fddb(options.annotations)
    sizes, results, methods, warned = read_sizes(folds, options.images), [], [], []
    # All files are read before the first is evaluated, so that an error in the last one is reported at once.
    for path, detections in [(path, read_detections(path, folds)) for path in options.pred]:
        start = time.perf_counter()
        with Progress(len(sizes), "images") as progress:
            found = evaluate_fddb(detections, folds, sizes, progress.advance)
        methods.append((path, found))
        warned += [f"warning: {printable(path)}: {text}" for text in _readings(detections, sizes)]
        results.append(found.summary() | {"pred": path, "protocol": "fddb",
                                          "seconds": round(time.perf_counter() - start, 3)})
    with contextlib.ExitStack() as last:  # also where the reader of the tables ends early (`| head`)
        if options.plot:
            last.callback(_plot, options, methods)
        if options.roc:
            last.callback(write_roc, options.roc, methods[0][1].roc)
        last.callback(write_json, options.json, results)
        _print(results)
        for path, found in methods:
            _notes(path, found)
        for text in warned:
            print(text)


def _plot(options, methods):
    from ...evaluation.fddb.plot import roc_plot

    stems = [os.path.splitext(os.path.basename(os.path.normpath(path)))[0] for path in options.pred]
    names = stems if len(set(stems)) == len(stems) else options.pred
    print("wrote " + " and ".join(roc_plot(
        [(name, found.roc) for name, (_, found) in zip(names, methods, strict=True)], options.plot)))


def _print(results):
    header = ["pred", *(f"{kind}@{limit}" for kind in KINDS for limit in POINTS), f"folds@{POINTS[-1]}", "images",
              "faces", "detections", "missing"]
    last = str(POINTS[-1])
    print_table(header, [
        [result["pred"], *(result[kind][str(limit)] for kind in KINDS for limit in POINTS),
         f"{result['mean']['discrete'][last]:.5f} +- {result['spread']['discrete'][last]:.5f}",
         *(result[key] for key in header[-4:])] for result in results])
    if len(results) == 1:
        print()
        print_table(["fold", "images", "faces", "detections", *header[1:5]],
                    [[f"{fold['fold']}", fold["images"], fold["faces"], fold["detections"],
                      *(fold[kind][str(limit)] for kind in KINDS for limit in POINTS)] for fold in results[0]["folds"]])
        print("The rate of a fold is at its share of the false positives: as many per image as in the whole set.")


def _readings(detections, sizes):
    """The reading_warnings of the images whose detections are rectangles."""
    names = [name for name, rows in detections.items() if rows.shape[1] == 5]
    return reading_warnings([detections[name] for name in names], sizes=[sizes[name] for name in names])


def _notes(path, found):
    """Print what a reader of the figures must know about the detections."""
    if found.missing:
        print(f"warning: {path}: {found.missing:,} of {found.roc.images:,} images are not listed; nothing is found "
              "there")
    most = int(found.roc.false_positives.max()) if len(found.roc.false_positives) else 0
    if most < POINTS[-1]:
        print(f"warning: {path}: has {most:,} false positives in all; at {POINTS[-1]:,} it may have a higher rate than "
              "is shown: lower the detector's score threshold")


def write_roc(prefix, roc):
    """Write PREFIXDiscROC.txt and PREFIXContROC.txt as FDDB's program does: a line per threshold, in rising order."""
    rows = list(zip(roc.discrete.tolist(), roc.continuous.tolist(), roc.false_positives.tolist(),
                    roc.thresholds.tolist(), strict=True))[::-1]
    for name, lines in (("Disc", [f"{discrete:.9g} {count} {score:.9g}" for discrete, _, count, score in rows]),
                        ("Cont", [f"{continuous:.9g} {count}" for _, continuous, count, _ in rows])):
        write_whole(f"{prefix}{name}ROC.txt", "".join(line + "\n" for line in lines).encode())
