"""Hard samples for R-Net and O-Net: the squares that the already trained stages of the cascade propose as faces."""

import copy
import hashlib
import importlib.util
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from easydict import EasyDict

from ..cascade.cascade import Cascade
from ..cascade.lanes import cores
from ..cascade.stages import STAGES
from ..errors import InputError
from ..export.cascade import write_stage
from ..export.formats import FORMATS
from ..nets import backend
from ..nets.mtcnn import STAGES as NETS
from ..nets.mtcnn import stage_config
from ..runtimes.files import trained_weights
from ..runtimes.sessions import installed, open_session
from ..weights.files import load_weights


def weights_of(cfg: EasyDict, stage: str) -> Path:
    """Return the path of the weights of an earlier stage: MTCNN.PNET or MTCNN.RNET, or those of its training.

    The training of the earlier stage has the name of this one with the other stage in it: mtcnn_pnet for mtcnn_onet.

    Args:
        cfg: the config of the later stage.
        stage: pnet or rnet.

    Raises:
        InputError: NAME does not contain the later stage.
    """
    named = cfg.MTCNN[stage.upper()]
    if named:
        return Path(named)
    now = cfg.MTCNN.STAGE
    if now not in cfg.NAME:
        raise InputError(f"NAME {cfg.NAME!r} does not contain {now!r}, so it does not say where {stage} was trained; "
                         f"name its weights as MTCNN.{stage.upper()}")
    return trained_weights(Path(cfg.OUTPUT_DIR) / cfg.NAME.replace(now, stage))


def miner(cfg: EasyDict) -> tuple[Callable[[Sequence[np.ndarray]], list[np.ndarray]] | None, str]:
    """Return the function that proposes squares for the stage of a config, and a text that changes with its weights.

    Returns:
        Function from images to squares (N, 4) px per image, None for P-Net, which is the first stage; and the text.

    Raises:
        InputError: weights are missing or belong to another net.
    """
    earlier = STAGES[: STAGES.index(cfg.MTCNN.STAGE)]
    if not earlier:
        return None, ""
    cfg = copy.deepcopy(cfg)
    cfg.CASCADE.THRESHOLDS[:2] = cfg.MTCNN.MINE_THRESHOLDS
    cfg.CASCADE.MIN_FACE = cfg.MTCNN.MINE_MIN_FACE
    models, marks = {}, []
    backend.prepare()
    for stage in earlier:
        path = weights_of(cfg, stage)
        if not path.is_file():
            raise InputError(f"{path}: no such weights; train {stage} before you make the samples of "
                             f"{cfg.MTCNN.STAGE}, or name its weights as MTCNN.{stage.upper()}")
        model = NETS[stage](stage_config(cfg, stage)).build()
        load_weights(model, path)
        models[stage] = model
        marks.append(f"{stage} {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}")
    cascade = Cascade(_runners(cfg, models), cfg)
    return lambda images: [boxes[:, :4] for boxes in cascade.candidates(images, earlier[-1])], ", ".join(marks)


def _runners(cfg, models):
    """Stage -> function of its net: exported, and run in lanes by the fastest installed runtime, or else by Keras."""
    runtime = next((name for name in ("openvino", "onnxruntime") if name in installed()), None)
    if runtime is None or importlib.util.find_spec("onnx") is None:
        return {stage: backend.runner(model) for stage, model in models.items()}
    nets = {}
    with tempfile.TemporaryDirectory() as folder:
        for stage, model in models.items():
            path = Path(folder) / f"{stage}.onnx"
            facts = write_stage(cfg, stage, model, FORMATS["onnx"], path)
            nets[stage] = open_session(path, facts, runtime, lanes=cores())
    return nets
