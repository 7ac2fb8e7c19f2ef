"""An exported model with its sidecar, as Detector takes it."""

from ..nets import family
from .faces import Faces
from .sessions import open_session
from .sidecar import config_of, read_sidecar


def open_model(path, runtime=None, threads=None, precision=None):
    """(family, run, cfg) of an exported model, as Detector takes them; neither Keras nor TensorFlow is loaded.

    path: .onnx, .xml or .tflite with its sidecar beside it. runtime: a key of RUNTIMES; None: the fastest that is
    installed and reads this file. threads: that one call may use; None: the runtime decides. precision: of PRECISIONS:
    "bf16" has OpenVINO compute a float32 file so, where the processor can; "int8" and "float32" are the file's own;
    None: whichever that is. family has `decode` (and `multiple`), run takes images (B, H, W, 3) uint8, or float 0..255,
    and gives a dict of NumPy maps.
    Raises InputError that names file, key, or package to install.
    """
    facts = read_sidecar(path)
    cfg = config_of(path, facts)
    run = open_session(path, facts, runtime, threads, precision)
    if facts["content"] == "faces":
        return Faces(cfg), run, cfg
    return family(cfg), run, cfg
