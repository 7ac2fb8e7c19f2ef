"""Find faces in images, folders, globs, videos, a camera or a stream, and draw them with landmarks and a bar of score
colours.

With --blur or --pixelate the faces are hidden instead, from a lower score on, since none should be missed. With --crop
or --align each face becomes a file of its own, NAME/1.jpg and so on, best first. These pictures have full size, and no
metadata of the source but its colour profile.

`manyfaces demo` without a SOURCE uses the images of demo/data, or two public-domain portraits and a crowd made of them
where that is empty. The table holds milliseconds of the net, of decoding and of NMS; the first call for a size is not
timed.

With --json FILE each image or frame becomes a line of FILE as soon as it is done. A later run with the same FILE leaves
out what FILE and the folder of pictures hold already. A video keeps its pace, but not its sound: a frame that stays
longer than others is repeated. Browsers play it: it is MP4 with H.264 where OpenCV has an encoder, else WebM with VP8.
Pictures are JPEG, or PNG where a side is over 65,500 px.

With --track each face of a video keeps a number from frame to frame. A stream (rtsp or http) and a camera drop the
frames that come too fast; a lost stream is connected again for up to a minute. Ctrl-C ends them; the video is complete.

An exported model needs its MODEL.json beside it, and neither Keras nor TensorFlow. Exit code 0 when at least one source
was done (those left out, and videos that are cut short, are named), 2 when none could be read to its end.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from ..config import check_value
from ..constants import DEFAULT_DETECTOR
from ..errors import InputError, check_whole
from .command_line import argument_parser, quiet_decoders
from .detector_options import add_detector_options, detector_from

# Of a working copy, where the program is called in one; elsewhere pictures go to FACES.
SHOWN, VISUALIZE, FACES, HIDDEN = Path("demo/data"), Path("demo/visualize"), Path("faces"), Path("hidden")
EXAMPLE = """
manyfaces demo
manyfaces detect holiday/ "more/*.jpg" film.mp4 --out found --json found/faces.jsonl --score 0.4
manyfaces detect holiday/ film.mp4 --blur --track --out public
manyfaces detect film.mp4 --track --json film.jsonl
manyfaces detect 0 --frames 200          # the first camera; Ctrl-C ends it, too
manyfaces detect rtsp://user:password@10.0.0.7/live --track --json - > faces.jsonl
manyfaces detect --weights model.onnx photo.jpg --json - --threads 2 > faces.jsonl
"""


def detect(arguments: Sequence[str] | None = None) -> int | None:
    """The command line of `manyfaces detect`, which needs a SOURCE."""
    return _detect(arguments, "+")


def main(arguments: Sequence[str] | None = None) -> int | None:
    """The command line of `manyfaces demo`."""
    return _detect(arguments, "*")


def _detect(arguments, sources):
    """sources: argparse's number of them."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("sources", nargs=sources, metavar="SOURCE",
                        help="image, folder, glob, video, number of a camera, or address of a stream")
    add_detector_options(parser, DEFAULT_DETECTOR)
    parser.add_argument("--out", metavar="DIR", help="folder for pictures and videos (default: demo/visualize where "
                        "the working folder has it, else faces; hidden with --blur and --pixelate; with --json -: none "
                        "are written)")
    kinds = parser.add_mutually_exclusive_group()
    for kind, text in (("blur", "make the faces unrecognisable: six areas per face at most, with smooth transitions"),
                       ("pixelate", "the same as tiles"), ("crop", "write each face, with a margin"),
                       ("align", "write each face upright, 112 x 112 px, as face recognition takes it; needs "
                                 "landmarks")):
        kinds.add_argument(f"--{kind}", dest="kind", action="store_const", const=kind, help=text)
    parser.add_argument("--strip", action="store_true",
                        help="leave out the colour profile as well: the pictures hold nothing but pixels")
    parser.add_argument("--no-pictures", action="store_true", help="write no pictures and videos")
    parser.add_argument("--json", metavar="FILE", help="one line of JSON per image or frame: boxes, scores, landmarks; "
                        "-: on standard output, instead of the table")
    parser.add_argument("--overwrite", "--anew", action="store_true",
                        help="do all sources again and replace the file of --json")
    parser.add_argument("--score", type=float, metavar="S", help="lowest score of a face that is drawn and counted "
                        "(default: TEST.DEMO_SCORE of the config; TEST.HIDE_SCORE with --blur and --pixelate)")
    parser.add_argument("--track", action="store_true",
                        help="follow the faces of a video: each keeps a number, drawn and in the JSON (\"id\"), and "
                        "its landmarks do not tremble; hidden faces stay hidden where one was missed for a moment. "
                        "Needs SciPy: pip install 'manyfaces[track]'")
    parser.add_argument("--realtime", action="store_true", help="show a video file at its own pace: frames that are "
                        "late are skipped and counted; cameras and streams always do that")
    parser.add_argument("--frames", type=int, default=0, metavar="N", help="stop a video after N frames; 0: never")
    options = parser.parse_args(arguments)
    quiet_decoders()
    if options.score is not None:
        check_value("TEST.DEMO_SCORE", options.score, "--score")
    check_whole(options.frames, "--frames")
    if options.no_pictures and options.kind:
        raise InputError(f"--{options.kind}: is about pictures, which --no-pictures forbids")
    if options.strip and not options.kind:
        raise InputError("--strip: goes with --blur, --pixelate, --crop or --align; drawn pictures have no metadata")
    if options.no_pictures and options.out:
        raise InputError(f"--out {options.out}: pictures are written there, which --no-pictures forbids")

    # Imported here, so that --help does not wait for them.
    from ..inference.demo.demo import Demo, run_demo, shown_from
    from ..inference.demo.journal import Journal, Printed, detector_mark
    from ..inference.demo.pictures import DRAWN, HIDDEN_BY
    from ..inference.demo.sources import default_sources, find_sources
    from ..inference.video.tracks import Tracker

    printed, kind = options.json == "-", options.kind or DRAWN
    folder = HIDDEN if kind in HIDDEN_BY else VISUALIZE if kind == DRAWN and VISUALIZE.is_dir() else FACES
    out = options.out or (None if options.no_pictures or (printed and kind == DRAWN) else folder)
    sources = find_sources(options.sources) if options.sources else default_sources(SHOWN)
    detector = detector_from(options, DEFAULT_DETECTOR)
    cfg = detector.cfg
    score = shown_from(cfg.TEST, kind) if options.score is None else options.score
    lowest = Tracker(score).low if options.track else None  # an error where SciPy is missing
    cfg.TEST.SCORE = min(cfg.TEST.SCORE, score if lowest is None else lowest)
    mark = detector_mark(detector) + (" tracked" if options.track else "")
    journal: Journal | Printed | None = None
    todo = sources
    if printed:
        journal = Printed(mark)
    elif options.json:
        journal = Journal(options.json, mark, score, options.overwrite, lowest)
        todo = journal.start(sources, out, options.frames, kind)
    there = f"{len(sources) - len(todo)} were there already" if len(todo) < len(sources) else ""
    if not todo:
        print(f"{out or options.json}: all {len(sources)} were there already (--overwrite does them again)")
        return 0
    try:
        demo = Demo(detector, out, score, options.frames, journal, kind, options.strip, options.track, options.realtime)
        if demo.pictures:
            demo.pictures.check(sources)
        done, failed = run_demo(demo, todo, note=(lambda _: None) if printed else None)
    finally:
        if journal:
            journal.close()
    if not done:
        raise InputError("no source could be read")
    short = sum(not row.complete for row in done)
    if short == len(done):
        raise InputError("no source could be read to its end" + (f"; what was read is in {out}" if out else ""))
    wrote = f"wrote {len(done)} to {out}" if out else f"{len(done)} done"
    print("; ".join(filter(None, [wrote, there, f"{short} cut short" if short else "",
                                  f"{len(failed)} left out" if failed else ""])),
          file=sys.stderr if printed else sys.stdout)
    return 0
