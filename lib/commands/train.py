"""Train a detector, from a config or from a shipped model on your own annotated photographs.

PHOTOS ANNOTATIONS: a shipped model learns from them. The format of the annotations is found by their content. A part of
the images is held out, AP on it is shown before and after, and everything is written to one folder: the model as ONNX
with its sidecar and card, weights, config, samples.jpg, faces.jpg, curves and report.html.

--cfg FILE: output/NAME holds its config, weights, checkpoint and logs, where NAME is that of the YAML.

Ctrl-C and SIGTERM save and stop. --resume continues from the last checkpoint and reaches exactly the weights that the
run would have reached without the interruption.

--hosts: several processes train together, one per GPU, on one or more hosts. Each runs the same command with its own
--rank, or --launch starts all of them from here by ssh (docs/several-hosts.md).
"""

from __future__ import annotations

import signal
import sys
import traceback
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import pretrained
from ..config import load_config
from ..constants import DEFAULT_DETECTOR
from ..errors import InputError, Range, check_number, check_whole
from ..hosts.place import PORT, RANKS, find_place
from .command_line import add_cfg_option, add_set_option, argument_parser, quiet_decoders, run
from .data.annotation_options import add_annotation_options, read_annotation

if TYPE_CHECKING:
    from ..hosts.team import Team

EXAMPLE = """
manyfaces train photos/ annotations/
manyfaces train photos/ labels.json --minutes 10 --split 0.8 --out output/mine
manyfaces train photos/ annotations/ --out output/mine --resume
manyfaces train --cfg ssh_mobilenet_v1_025
manyfaces train --cfg ssh_mobilenet_v1_025 --resume
manyfaces train --cfg ssh_mobilenet_v1_025 --init ssh_mobilenet_v1_025
manyfaces train --cfg ssh_mobilenet_v1_025 --devices 2
manyfaces train --cfg ssh_mobilenet_v1_025 --hosts a,b --launch --retries 3
manyfaces train --cfg ssh_mobilenet_v1_025 --hosts a,b --rank 1
manyfaces train --cfg ssh_mobilenet_v1_025 --set NAME trial TRAIN.STEPS 2000 TRAIN.BATCH 16
"""
OWN = ("model", "split", "minutes", "out", "licence")  # options of own photographs only


def main(arguments: Sequence[str] | None = None) -> int | None:
    """The command line of `manyfaces train`."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("images", nargs="?", metavar="PHOTOS_DIR", help="folder of your photographs")
    parser.add_argument("labels", nargs="?", metavar="ANNOTATIONS_DIR|FILE", help="their annotations")
    add_cfg_option(parser)
    parser.add_argument("--resume", action="store_true", help="continue where the run in the folder stopped")
    add_set_option(parser)
    own = parser.add_argument_group("own photographs")
    own.add_argument("--model", metavar="NAME", help="shipped model to begin from (default: ssh_mobilenet_v1_025)")
    own.add_argument("--split", type=float, metavar="FRACTION", help="of the images that are trained on; a hash of the "
                     "name decides (default: 0.9)")
    own.add_argument("--minutes", type=float, metavar="N", help="budget of the training; what it allows is printed "
                     "(default: 30)")
    own.add_argument("--out", metavar="DIR", help="folder of the training; its name is that of the model (default: "
                     "output/ with the name of the folder of photographs)")
    own.add_argument("--licence", metavar="TEXT", help="of the photographs, for the sidecar and the card")
    add_annotation_options(own)
    configured = parser.add_argument_group("a config")
    configured.add_argument("--init", metavar="WEIGHTS", help="start from these .weights.h5, or from the "
                            "shipped weights of that name: layers that match by name and shape are taken, the others "
                            "are listed")
    configured.add_argument("--devices", type=int, default=1, metavar="N", help="GPUs that share every batch (default "
                            "1); without any GPU: logical devices of the processor, as a trial")
    hosts = parser.add_argument_group("a config on several hosts")
    hosts.add_argument("--hosts", metavar="HOSTS", help="host of each process, such as a,b or gpu[01-04]; a,a,b,b for "
                       f"two GPUs each; a:5000,b for another port than {PORT}; env: MASTER_ADDR and WORLD_SIZE, "
                       "TF_CONFIG or Slurm's variables say it")
    hosts.add_argument("--rank", type=int, metavar="R", help="number of this process in HOSTS, from 0, which alone "
                       f"writes (default: that of {', '.join(RANKS)})")
    hosts.add_argument("--launch", action="store_true", help="start all processes from here: those of other hosts by "
                       "ssh, in the same folder")
    hosts.add_argument("--retries", type=int, default=0, metavar="N", help="with --launch: start all of them again, up "
                       "to N times, when one is lost (default: 0)")
    hosts.add_argument("--ssh", default="ssh", metavar="COMMAND", help="with --launch: what runs a command on another "
                       "host (default: ssh)")
    hosts.add_argument("--resume-or-start", action="store_true", help="--resume where the folder holds a training, "
                       "else start one: for what restarts by itself")
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(words)
    if options.hosts:
        return _on_hosts(options, words)
    if options.launch or options.rank is not None:
        raise InputError("--launch and --rank need --hosts, such as --hosts a,b")
    if options.resume_or_start and not options.cfg:
        raise InputError("--resume-or-start is for a config: give --cfg, or --resume")
    if options.cfg:
        _from_config(options)
    else:
        _from_photographs(options)
    return None


def _on_hosts(options: Namespace, words: Sequence[str]) -> int:
    """One of several processes, or the one that starts them; returns the exit code."""
    if not options.cfg:
        raise InputError("--hosts is for a config: give --cfg, or train on own photographs without --hosts")
    if options.devices != 1:
        raise InputError("--devices and --hosts: each process has one device; name a host once per GPU: a,a,b,b")
    from ..hosts.launch import launch, stop_with_input  # late, so that --help does not wait for NumPy
    from ..hosts.team import Team

    place = find_place(options.hosts, 0 if options.launch and options.rank is None else options.rank)
    if options.retries and not options.launch:
        raise InputError("--retries is for the process that starts the others: give --launch too")
    if options.launch and options.rank is None:
        check_whole(options.retries, "--retries")
        if not all(place.hosts):
            raise InputError("--hosts env names only the first host: give all names with --launch, as in a,b")
        start = sys.orig_argv[:-len(words)] if sys.orig_argv[-len(words):] == list(words) else []
        command = [sys.executable, *(start[1:] or ["-m", "manyfaces", "train"]), *words]
        return launch(command, ["--resume-or-start"], place, options.retries, options.ssh)
    if options.launch:
        stop_with_input()
    team = Team(place)
    code = run(lambda _: _in_team(options, team))
    if code in (0, 128 + signal.SIGINT, 128 + signal.SIGTERM) and not team.lost:
        return code
    return team.end(code)  # a backend that tidies up would wait for the others


def _in_team(options: Namespace, team: Team) -> int:
    """Train as one of several processes; whatever ends it, the others are told. Returns the exit code."""
    from ..hosts.team import HostLost

    code = 0
    try:
        _from_config(options, team)
    except SystemExit as stopped:  # by a signal, after the same step as the others
        code = int(stopped.code or 0)
    except HostLost:
        raise
    except (InputError, OSError, KeyboardInterrupt) as error:
        team.leave(str(error) or "interrupted")
        raise
    except Exception as error:
        team.check()  # the backend may fail because another process is gone
        team.leave(f"{type(error).__name__}: {error}")
        traceback.print_exc()
        team.end(1)
    team.leave()
    return code


def _from_config(options: Namespace, team: Team | None = None) -> None:
    if options.images:
        raise InputError(f"--cfg trains on the data sets of the config: leave {options.images} out, or --cfg")
    for name in OWN:
        if getattr(options, name) is not None:
            raise InputError(f"--{name} is for own photographs: leave it out, or --cfg")
    cfg = load_config(options.cfg, options.set)

    resume = options.resume
    if options.resume_or_start:
        resume = Path(cfg.OUTPUT_DIR, cfg.NAME, "config.yml").is_file()

    from ..engine.train import Trainer  # late, so that --help does not wait for Keras

    best = Trainer(cfg, resume=resume, init=initial_weights(options.init), devices=options.devices, team=team).run()
    if team and team.rank:
        return
    if best >= 0:
        print(f"best selection {cfg.TRAIN.SELECT_BY} {best:.4f}")
    print(f"weights are in {cfg.OUTPUT_DIR}/{cfg.NAME}")


def initial_weights(name: str | None) -> str | None:
    """The path that --init means: that of shipped weights where it is their name and no file is called so."""
    if name and not Path(name).exists() and name in pretrained.names():
        return str(pretrained.weights_file(name))
    return name


def _from_photographs(options: Namespace) -> None:
    if not (options.images and options.labels):
        raise InputError("expected PHOTOS ANNOTATIONS, such as photos/ annotations/, or --cfg FILE")
    if options.init or options.devices != 1:
        raise InputError("--init and --devices are for a config: own photographs begin from --model on one device")
    minutes = check_number(30 if options.minutes is None else options.minutes, "--minutes", Range(over=0))
    fraction = check_number(0.9 if options.split is None else options.split, "--split", Range(over=0, below=1))

    from ..datasets.folders import find_images
    from ..finetune import photos
    from ..finetune.tune import check_start, resume, tune

    quiet_decoders()
    out = Path(options.out or Path("output") / (Path(options.images).resolve().name or "photographs"))
    out = out.resolve() if out.name in ("", "..") else out  # the name of the folder is that of the model
    model = options.model or DEFAULT_DETECTOR
    check_start(model, out, options.resume, options.set)
    find_images(options.images)  # says so where it holds none, whatever the annotations are
    roidb = read_annotation(options)
    if options.resume:
        photos.check_same(out, roidb.source)
        resume(out, options.licence)
    else:
        tune(roidb, out, model, fraction, minutes, options.set, options.licence)
