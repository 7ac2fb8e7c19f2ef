"""The command line of the parts: `python -m benchmarks.gpu PART [--folder DIR]`."""

import sys
from collections.abc import Sequence

from manyfaces.commands.command_line import argument_parser, run
from manyfaces.commands.info import collect
from manyfaces.errors import InputError

EXAMPLE = """
python -m benchmarks.gpu losses --folder photos
python -m benchmarks.gpu pack --roidb data/pickles/wider_train.pkl --folder photos --megabytes 20
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one part in the working folder."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("part", choices=("built", "kernels", "nms", "scenes", "losses", "toy", "ssh", "speed", "pack"),
                        metavar="PART", help="built, kernels, nms, scenes, losses, toy, ssh, speed; or pack: fill a "
                        "folder for them")
    parser.add_argument("--folder", metavar="DIR", help="losses, ssh, speed: holds the images that are trained on, as "
                        "pack writes them (default: made-up scenes)")
    parser.add_argument("--roidb", metavar="FILE", help="pack: the roidb whose images are taken")
    parser.add_argument("--megabytes", type=float, default=20.0, help="pack: size of the folder")
    options = parser.parse_args(arguments)
    if options.part == "built":
        built()
    elif options.part == "pack":
        from .pack import pack

        if not (options.roidb and options.folder):
            raise InputError("pack needs --roidb and --folder")
        print(pack(options.roidb, options.folder, options.megabytes))
    elif options.part in ("kernels", "nms"):
        from . import kernels

        getattr(kernels, options.part)()
    else:
        from . import training

        given = [options.folder] if options.part in ("losses", "ssh", "speed") else []
        getattr(training, options.part)(*given)


def built() -> None:
    """Tell which package is imported, and fail where modules are not compiled."""
    facts = collect()
    print(facts["package"])
    if missing := facts.get("not compiled"):
        raise InputError(f"not compiled: {', '.join(missing)}; a C compiler, Python's headers and Cython are needed")
    print(f"{facts['compiled']} are compiled")


if __name__ == "__main__":
    sys.exit(run(main))
