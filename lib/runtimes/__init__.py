"""Exported models without Keras: ONNX Runtime, OpenVINO, LiteRT.

family, run, cfg = open_model("ssh.onnx"); Detector(family, run, cfg).detect(image). sessions.py knows which runtime
reads what, sidecar.py describes a file, models.py joins both, and cascade.py does so for MTCNN's three nets. foreign.py
opens files of other projects, which have no sidecar.
"""

from .files import digest
from .models import open_model
from .sessions import RUNTIMES, installed, open_session, readers
from .sidecar import read_sidecar, sidecar_path, write_sidecar

__all__ = ["RUNTIMES", "digest", "installed", "open_model", "open_session", "read_sidecar", "readers", "sidecar_path",
           "write_sidecar"]
