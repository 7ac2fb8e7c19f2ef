"""Train a detector: output/NAME holds its weights, logs and checkpoint.

example: tools/train.py --cfg cfgs/ssh_mobilenet_v1_025.yml --set TRAIN.STEPS 2000
"""

import argparse

from manyfaces.command_line import main, parser


def arguments():
    p = parser(__doc__)
    p.add_argument("--cfg", required=True, metavar="FILE", help="the experiment, a YAML of cfgs/")
    p.add_argument("--init", metavar="WEIGHTS", help="start from these .weights.h5 of the same net")
    p.add_argument("--resume", action="store_true", help="go on where the run in output/NAME stopped, to the same end")
    p.add_argument("--set", nargs="+", default=[], metavar=("KEY", "VALUE"), help="keys of the config to change")
    return p


def run(args):
    from manyfaces.config import load_config
    from manyfaces.engine.train import Trainer

    best = Trainer(load_config(args.cfg, args.set), resume=args.resume, init=args.init).run()
    if best >= 0:
        print(f"best selection AP {best:.4f}")


if __name__ == "__main__":
    main(arguments(), run)
