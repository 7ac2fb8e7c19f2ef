"""Which modules are compiled, and the warning, once per process, that their NumPy twins are used instead."""

import importlib
import warnings

MODULES = ("boxes.anchors", "boxes.bbox", "boxes.targets", "boxes.transforms", "cascade.crops", "data_layer.minibatch",
           "evaluation.files.prediction_text", "evaluation.match", "nms.cpu_min_nms", "nms.cpu_nms", "nms.cpu_soft_nms")
"""What is compiled, by its name in the package: every .pyx."""

_warned = False


def warn_not_compiled() -> None:
    """Warn, the first time only, that NumPy twins replace compiled modules, and how to get those."""
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            "manyfaces is not compiled: its NumPy twins are used, with the same results but many times slower. Install "
            "a C compiler, then `pip install .` again, or `python setup.py build_ext --inplace` in a working copy.",
            RuntimeWarning, stacklevel=3)


def not_compiled() -> dict[str, str]:
    """Name of each of MODULES that cannot be imported -> why, in one line."""
    reasons = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warn_not_compiled
        for name in MODULES:
            try:
                importlib.import_module(f"{__package__}.{name}")
            except ImportError as error:
                reasons[name] = str(error).partition("\n")[0]
    return reasons
