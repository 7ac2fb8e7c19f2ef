"""Train a detector: output/NAME holds its config, weights, checkpoint and logs, where NAME is that of the YAML.

Ctrl-C and SIGTERM save and stop. --resume continues from the last checkpoint and reaches exactly the weights that the
run would have reached without the interruption.
"""

from collections.abc import Sequence
from pathlib import Path

from .. import pretrained
from ..config import load_config
from .command_line import add_cfg_option, add_set_option, argument_parser

EXAMPLE = """
manyfaces train --cfg ssh_mobilenet_v1_025
manyfaces train --cfg ssh_mobilenet_v1_025 --resume
manyfaces train --cfg ssh_mobilenet_v1_025 --init ssh_mobilenet_v1_025
manyfaces train --cfg ssh_mobilenet_v1_025 --devices 2
manyfaces train --cfg ssh_mobilenet_v1_025 --set NAME trial TRAIN.STEPS 2000 TRAIN.BATCH 16
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of `manyfaces train`."""
    parser = argument_parser(__doc__, EXAMPLE)
    add_cfg_option(parser, required=True)
    parser.add_argument("--init", metavar="WEIGHTS", help="start from these .weights.h5, or from the shipped "
                        "weights of that name: layers that match by name and shape are taken, the others are listed")
    parser.add_argument("--resume", action="store_true", help="continue where the run in output/NAME stopped")
    parser.add_argument("--devices", type=int, default=1, metavar="N", help="GPUs that share every batch (default 1); "
                        "without any GPU: logical devices of the processor, as a trial")
    add_set_option(parser)
    options = parser.parse_args(arguments)
    cfg = load_config(options.cfg, options.set)

    from ..engine.train import Trainer  # late, so that --help does not wait for Keras

    best = Trainer(cfg, resume=options.resume, init=initial_weights(options.init), devices=options.devices).run()
    if best >= 0:
        print(f"best selection {cfg.TRAIN.SELECT_BY} {best:.4f}")
    print(f"weights are in {cfg.OUTPUT_DIR}/{cfg.NAME}")


def initial_weights(name: str | None) -> str | None:
    """The path that --init means: that of shipped weights where it is their name and no file is called so."""
    if name and not Path(name).exists() and name in pretrained.names():
        return str(pretrained.weights_file(name))
    return name
