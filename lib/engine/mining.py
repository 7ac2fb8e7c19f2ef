"""Hard samples for R-Net and O-Net: what the stages of the cascade that are trained already take for faces."""

import copy
import hashlib
import importlib.util
import tempfile
from pathlib import Path

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


def weights_of(cfg, stage):
    """Path of the weights of an earlier stage: MTCNN.PNET or MTCNN.RNET, or those of its training.

    That training has the name of this one with its stage in place of ours: mtcnn_pnet beside mtcnn_onet.
    """
    named = cfg.MTCNN[stage.upper()]
    if named:
        return Path(named)
    now = cfg.MTCNN.STAGE
    if now not in cfg.NAME:
        raise InputError(f"NAME {cfg.NAME!r} does not hold {now!r}, so it does not say where {stage} was trained; name "
                         f"its weights as MTCNN.{stage.upper()}")
    return trained_weights(Path(cfg.OUTPUT_DIR) / cfg.NAME.replace(now, stage))


def miner(cfg):
    """(propose, marks): function list of images -> list of (N, 4) squares for the stage of a config; and its weights.

    propose is None for P-Net, which has nothing before it. marks: text that changes with the weights. Raises InputError
    where weights are missing or of another net.
    """
    earlier = STAGES[: STAGES.index(cfg.MTCNN.STAGE)]
    if not earlier:
        return None, ""
    cfg = copy.deepcopy(cfg)
    if len(cfg.MTCNN.MINE_THRESHOLDS) != 2:
        raise InputError(f"MTCNN.MINE_THRESHOLDS is {cfg.MTCNN.MINE_THRESHOLDS}, expected one for pnet and one for "
                         f"rnet")
    cfg.CASCADE.THRESHOLDS[:2] = cfg.MTCNN.MINE_THRESHOLDS
    cfg.CASCADE.MIN_FACE = cfg.MTCNN.MINE_MIN_FACE
    models, marks = {}, []
    backend.prepare()
    for stage in earlier:
        path = weights_of(cfg, stage)
        if not path.is_file():
            raise InputError(f"{path}: no such weights; train {stage} before the samples of {cfg.MTCNN.STAGE} are "
                             f"made, or name its weights as MTCNN.{stage.upper()}")
        model = NETS[stage](stage_config(cfg, stage)).build()
        load_weights(model, path)
        models[stage] = model
        marks.append(f"{stage} {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}")
    cascade = Cascade(_runners(cfg, models), cfg)
    return lambda images: [found[:, :4] for found in cascade.candidates(images, earlier[-1])], ", ".join(marks)


def _runners(cfg, models):
    """Dict stage -> function of Keras models: exported, and run in lanes by what is fastest here, or else by Keras."""
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
