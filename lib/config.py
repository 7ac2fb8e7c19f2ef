"""Configuration: one commented default, merged strictly with a YAML file and with KEY VALUE overrides.

A config is an EasyDict that is passed along; there is no global one. A key that the default does not know is an error
that names the nearest one, and so is a value of another type. A YAML may name another as `BASE: file.yml` (relative
to itself) and then holds only what differs.

>>> cfg = load_config(overrides=["TRAIN.BATCH", "8"])
>>> cfg.TRAIN.BATCH
8
"""

import copy
import difflib
import math
from pathlib import Path

import yaml
from easydict import EasyDict

from .errors import InputError
from .files import write_whole

DEFAULTS = {
    "FAMILY": "ssh",  # the detector: a name that manyfaces.nets.family knows
    "NAME": "",  # empty: the stem of the YAML file; output/NAME and lib/pretrained/NAME.* follow from it
    "SEED": 3,  # order of the data, augmentation and initial weights all derive from it
    "DATA_DIR": "data",  # holds pickles/ (made by tools/build_roidb.py) and imagenet/
    "OUTPUT_DIR": "output",
    "NET": {
        "BACKBONE": "mobilenet_v1",  # a key of manyfaces.nets.backbones.BACKBONES
        "VARIANT": "keras",  # which lineage of that backbone: padding, activation, epsilon
        "ALPHA": 1.0,  # width multiplier (MobileNets)
        "WEIGHTS": "",  # a .weights.h5 of the backbone, `imagenet` (Keras downloads them), or empty: random
        "FROZEN_STAGES": 0,  # so many first stages of the backbone are not trained
        "FROZEN_BN": False,  # batch normalisation uses its stored moments and is not trained
        "LAST_STRIDE": True,  # False: the backbone's last stride 2 is removed, M3 pools M2's map (SSH's MobileNetV1)
        "TAPS": "",  # ssh: maps for M1, M2, M3 by + (docs/backbones.md); two: M3 pools the second; empty: by stride
        "TOP_DOWN": False,  # True: a top-down path joins all three modules; False: the paper's M1 fusion alone
        "WIDTHS": [128, 256, 256],  # of the detection modules M1, M2, M3 (X of the paper)
        "TOP_DOWN_WIDTH": 128,  # channels of the fused maps
        "LANDMARKS": False,  # five points beside every box
        "BN": False,  # batch normalisation in the detection modules (the paper has none)
        "BN_MOMENTUM": 0.99,  # of the stored moments, everywhere; a training of few hundred steps needs less
    },
    "ANCHORS": {
        "STRIDES": [8, 16, 32],
        "SIZES": [[16, 32], [64, 128], [256, 512]],  # px, square root of the area, per module
        "RATIOS": [1.0],  # height / width
        "WIDTHS": [],  # px: ssd and tiny have one module, with anchors of these widths and heights in place of SIZES
        "HEIGHTS": [],
        "BORDERS": [0, 0, 512],  # px by which a module's anchors may leave the image; -1: any
    },
    "GRID": {
        "INPUT": 224,  # px: grid sees every image squeezed to this square; TEST.SIZE and AUGMENT.SIZE must say the same
        "SIZE": 0,  # cells a side; 0: INPUT / 32. INPUT / 16 removes the backbone's last stride, nothing else fits
        "WIDTH": 240,  # channels of the 3x3 convolution before the cells
        "BOX_LOSS": "best_cell",  # best_cell: of the most confident cell | squared, diou: of every face in its own cell
    },
    "MTCNN": {
        "STAGE": "cascade",  # which net is sampled for and trained: pnet | rnet | onet; cascade: all three, to detect
        "FC": "prelu",  # behind the fully connected layer of R-Net and O-Net: prelu | relu (TensorFlow 1's) | none
        "SAMPLES": "",  # folder of its samples (tools/mtcnn_samples.py); empty: OUTPUT_DIR/samples/STAGE
        "LANDMARKS": "",  # data sets whose landmarks are learnt, as TRAIN.DATASETS; nothing else is taken from them
        "SELECT_LANDMARKS": "",  # the same for the selection
        "COUNTS": [60000, 60000, 60000, 180000],  # wanted samples: positive, part, landmark, negative
        "RATIO": [1, 1, 1, 3],  # of those kinds in every batch
        "POSITIVE": 0.65,  # overlap with a face from which a crop is positive
        "PART": 0.4,  # from which it is part of a face; what lies between is left out
        "NEGATIVE": 0.3,  # below which it is background
        "NARROW": 0.95,  # a face that no square overlaps by POSITIVE: positive from this part of the best that one can
        "MIN_FACE": 10.0,  # px in the image: smaller faces are neither learnt nor background
        "LANDMARK_FACE": 24.0,  # px in the image: the landmarks of smaller faces are not learnt
        "ROTATION": 20.0,  # degrees to either side that landmark samples, two of three, are turned by at most
        "SCALES": [1.0, 1.0],  # of an image before faces and background are cut from it, log-uniform; a data set that
        # TRAIN.DATASETS names twice is looked at in two scales
        "PNET": "",  # weights that mine for rnet and onet; empty: OUTPUT_DIR/(NAME with pnet for the stage)/best...
        "RNET": "",  # weights that mine for onet, in the same way
        "MINE_THRESHOLDS": [0.5, 0.3],  # of P-Net and R-Net while they mine
        "MINE_MIN_FACE": 16.0,  # CASCADE.MIN_FACE while they mine
        "EASY": 0.25,  # at most this part of an image's negatives is cut by chance where mining does not give enough
        "LOSS_WEIGHTS": [1.0, 0.5, 0.5],  # of classification, box and landmarks; onet: 1, 0.5, 1
        "LANDMARK_LOSS": "squared",  # squared (MTCNN) | absolute (arXiv 1711.06753, section 4): errors of coordinates
        "OHEM": 0.7,  # part of a batch's positives and negatives, the hardest, that classification learns from
        "OHEM_BOX": False,  # the same for the box loss
        "OHEM_GROUP": 96,  # crops that follow one another in a batch and are mined together; 0: the whole batch
    },
    "CASCADE": {
        "MIN_FACE": 20.0,  # px: faces of this size fill P-Net's window of 12 px in the pyramid's largest level
        "FACTOR": 0.709,  # from one level to the next
        "THRESHOLDS": [0.6, 0.7, 0.7],  # scores from which P-Net, R-Net and O-Net let a box pass
        "NMS": [0.5, 0.7, 0.7, 0.7],  # overlaps: within a level, across levels, behind R-Net, behind O-Net (of the
        # smaller area)
        "RESAMPLE": "smooth",  # smooth | mean (as facenet-pytorch): how levels and crops are made (lib/cascade)
        "ROUND": True,  # pixels of levels and crops are bytes; False: float32, as facenet-pytorch has them
        "BOXES": "continuous",  # continuous | inclusive (the MATLAB code's and its ports'): of boxes and crops
    },
    "TARGETS": {
        "POSITIVE": 0.5,  # overlap from which an anchor is a face
        "NEGATIVE": 0.3,  # overlap below which it is background; what lies between is ignored
        "BEST": None,  # a face's best anchor is positive from this overlap; null: it must reach POSITIVE
        "IGNORE_OVERLAP": 0.5,  # background anchors covered so far by an ignore region are left out
        "MASK_PADDING": False,  # background anchors that reach into the grey around a picture are left out (HR)
        "VARIANCES": [0.1, 0.2],  # units of box offsets: of the anchor's sides, and of nats
    },
    "LOSS": {
        "CLASS": "ohem",  # ohem (SSH, section 3.4) | focal (RetinaNet, equation 5) | mined (SSD, section 2.2) |
        # quality (quality focal loss, arXiv 2006.04388: the score learns the box's overlap with the face)
        "OHEM_BATCH": 256,  # anchors a module and image
        "OHEM_POSITIVE": 0.5,  # of which at most this part are faces
        "OHEM_FILL": True,  # where faces are fewer, backgrounds fill the batch; False: they keep to the other part (HR)
        "FOCAL_ALPHA": 0.75,  # of focal: weight of faces; background has 1 - alpha
        "FOCAL_GAMMA": 2.0,
        "MINED_RATIO": 3.0,  # of mined: so many backgrounds to a face, those with the highest scores
        "BOX": "smooth_l1",  # smooth_l1 | diou (1 - IoU + normalised centre distance)
        "BOX_SIGMA": 3.0,  # smooth L1 is quadratic below 1 / sigma^2 (SSH 3, SSD 1)
        "BOX_WEIGHT": 1.0,
        "LANDMARK_WEIGHT": 0.25,
        "MIN_POSITIVES": 1.0,  # an image's losses are divided by its positive anchors, but by no less than this
        "WEIGHT_DECAY": 1e-4,  # L2 in the loss for sgd, decoupled for adamw; kernels only
    },
    "TRAIN": {
        "DATASETS": "wider_train",  # names in DATA_DIR/pickles, joined by +
        "DATASET_WEIGHTS": [],  # how often an epoch shows each image of each source; empty: once
        "CROWDS": 0.0,  # an image with n faces is shown n ** CROWDS times as often as one with a single face
        "SELECT": "",  # data set(s) for the best checkpoint, as DATASETS; empty: none
        "SELECT_EVERY": 1000,  # steps
        "SELECT_BY": "AP",  # what a better selection is measured by; grid has iou and iou_nearest besides
        "SELECT_IMAGES": 0,  # look at so many images of each selection set only; 0: all
        "MAX_FACES": 0,  # images with more faces are left out of training and selection; 0: none
        "STEPS": 300000,
        "EPOCHS": 0,  # > 0: so many in place of STEPS, and DECAY_AT, SELECT_EVERY and SAVE_EVERY count epochs as well
        "BATCH": 1,  # images a step, of all devices together (--devices), which must be able to share them equally
        "MODE": "joint",  # joint: one update from the sum | random: one module a step | group: three updates a step
        "OPTIMIZER": "sgd",  # sgd (momentum 0.9) | adamw
        "RATE": 1e-3,
        "RATE_BATCH": 0,  # 0: RATE is taken as it is; else RATE is for so many images a step: x BATCH / RATE_BATCH
        "SCHEDULE": "steps",  # steps: x DECAY at every entry of DECAY_AT | cosine: to FINAL_RATE of it at STEPS |
        # plateau: x DECAY after PATIENCE epochs without a better selection
        "DECAY_AT": [120000],
        "DECAY": 0.1,
        "FINAL_RATE": 0.01,
        "PATIENCE": 5.0,  # epochs
        "STOP_AFTER": 0.0,  # epochs without a better selection end the training; 0: only STEPS does
        "WARMUP": 0,  # steps of linear warm-up
        "CLIP_NORM": 10.0,  # of the whole gradient; 0: none
        "EMA": 0.0,  # momentum of the moving average of the weights that is tested and shipped; 0: none
        "SAVE_EVERY": 500,  # steps between checkpoints
        "LOG_EVERY": 20,  # steps between rows of train.csv and TensorBoard
        "IMAGES_EVERY": 1000,  # steps between pictures in TensorBoard; 0: none
        "DETERMINISTIC": True,  # bit for bit the same weights from the same config; costs next to nothing on a CPU
        "INIT": "",  # start from these .weights.h5: layers that match by name and shape are taken, the others listed
    },
    "AUGMENT": {
        "KIND": "crop",  # crop: windows around a face that keep the aspect | ssd: SSD's (section 2.2), squeezed to SIZE
        "SIZE": 640,  # px, side of the square that is trained on
        "SIZES": [],  # steps take turns through these sides in place of SIZE; BATCH is of the first, and a larger one
        # takes so many samples fewer that a step has about as many pixels
        "EXPAND": 4.0,  # ssd: the image on a grey canvas of up to so many times its sides (zoom-out)
        "EXPAND_PROBABILITY": 0.5,
        "CROP_OVERLAPS": [0.1, 0.3, 0.5, 0.7, 0.9],  # ssd: least overlap of a crop with some face, one drawn a sample
        "CROP_SIDES": [0.1, 1.0],  # ssd: sides of a crop in parts of the canvas
        "SCALES": [0.3, 2.0],  # crop: of the image before a crop is cut
        "SCALE_CHOICES": [],  # crop: one of these by chance, such as [0.5, 1, 2], in place of what SCALES says
        "STRETCH": [1.0, 1.0],  # crop: width to height, as where TEST.SIZE squeezes the image; log-uniform
        "FACE_SIZES": [],  # px: a random face is brought to a size between these (log-uniform); empty: SCALES alone
        "FACE_PROBABILITY": 0.9,  # how often FACE_SIZES decides (clipped to SCALES), else SCALES does
        "BACKGROUND": 0.0,  # how often a crop lies anywhere in the image instead of around a face, scaled by SCALES
        "ZOOM_OUT": 1.6,  # the window is at most so many times the image's longer side; the rest is grey
        "MOSAIC": 0.0,  # probability of four images in one
        "FLIP": 0.5,
        "COLOUR": 0.5,  # probability of each of brightness, contrast, saturation, hue
        "GREY": 0.0,
        "BLUR": 0.0,  # probability of a loss of resolution (down and up again, or JPEG)
        "BLUR_FACTORS": [0.4, 0.9],  # down to so many times the sides before it comes up again, uniform
        "ERASE": 0.0,  # MTCNN: probability that a rectangle of a crop is hidden
        "ZOOM_IN": 0.0,  # MTCNN: at most this part of a crop's sides is cut off when it is loaded
        "MIN_FACE": 4.0,  # px after scaling; smaller faces become ignore regions
        "MIN_VISIBLE": 0.333,  # faces cut to less than this part of their area become ignore regions
        "CLEAN_STEPS": 0,  # mosaic and blur stop so many steps before the end
    },
    "LOADER": {
        "WORKERS": 2,  # threads that read, decode and augment
        "PREFETCH": 8,  # batches made ahead
        "CACHE_MB": 0,  # decoded images kept in memory
    },
    "TEST": {
        "SIZE": [],  # px: every image is squeezed to this width and height whatever its aspect, and SCALES are of that
        "SCALES": [1.0],  # of the original image, or shorter sides in px where > 10
        "MAX_SIDE": 0,  # px: larger images are scaled down to this longer side; 0: never
        "MAX_PIXELS": 16000000,  # of one call of the net: batches are cut there, and so are images; 0: no limit
        "LARGE": "tile",  # larger images: tile: seen in overlapping tiles, with the result of the whole (ssh and tiny;
        # mtcnn has its own way) | shrink: scaled down to MAX_PIXELS, as they always are for ssd and grid
        "TILE_OVERLAP": 256,  # px that a tile sees beyond its own part: as far as the nets of ssh and tiny look
        "TEMPLATES": [],  # tiny: [[over, first, last], ...]: templates first to last (from 1) look at images that are
        # scaled by more than `over` (and, with a fourth number, up to that one); empty: all at every scale
        "FLIP": False,
        "SCORE": 0.02,
        "NMS": 0.3,
        "NMS_METHOD": "hard",  # hard | linear | gaussian
        "TOP": 1000,  # boxes a module before NMS
        "KEEP": 750,  # boxes an image after NMS
        "BATCH": 1,
        "DEMO_SCORE": 0.5,  # drawn from this score
    },
}

# What a key that is null by default may hold.
NULLABLE = {"TARGETS.BEST": float}
POSITIVE = ("NET.ALPHA", "NET.TOP_DOWN_WIDTH", "LOSS.OHEM_BATCH", "LOSS.MIN_POSITIVES", "TRAIN.STEPS", "TRAIN.BATCH",
            "TRAIN.RATE", "TRAIN.SELECT_EVERY", "TRAIN.SAVE_EVERY", "TRAIN.LOG_EVERY", "AUGMENT.SIZE",
            "AUGMENT.ZOOM_OUT", "TEST.TOP", "TEST.KEEP", "TEST.BATCH", "TEST.TILE_OVERLAP", "LOSS.MINED_RATIO",
            "LOSS.BOX_SIGMA", "GRID.INPUT", "GRID.WIDTH", "CASCADE.MIN_FACE", "CASCADE.FACTOR", "TRAIN.PATIENCE")
# Lowest and highest, or of two kinds; or empty.
PAIRS = ("TARGETS.VARIANCES", "AUGMENT.SCALES", "AUGMENT.FACE_SIZES", "AUGMENT.STRETCH", "AUGMENT.CROP_SIDES",
         "TEST.SIZE", "MTCNN.SCALES", "AUGMENT.BLUR_FACTORS")
NESTED = {"TEST.TEMPLATES": [[1.0, 19, 25]]}  # what a list that is empty by default may hold, if not numbers
CHOICES = {
    "LOSS.CLASS": ("ohem", "focal", "mined", "quality"),
    "CASCADE.RESAMPLE": ("smooth", "mean"),
    "CASCADE.BOXES": ("continuous", "inclusive"),
    "MTCNN.LANDMARK_LOSS": ("squared", "absolute"),
    "MTCNN.FC": ("prelu", "relu", "none"),
    "MTCNN.STAGE": ("cascade", "pnet", "rnet", "onet"),
    "LOSS.BOX": ("smooth_l1", "diou"),
    "TRAIN.MODE": ("joint", "random", "group"),
    "TRAIN.OPTIMIZER": ("sgd", "adamw"),
    "TRAIN.SCHEDULE": ("steps", "cosine", "plateau"),
    "GRID.BOX_LOSS": ("best_cell", "squared", "diou"),
    "AUGMENT.KIND": ("crop", "ssd"),
    "TEST.LARGE": ("tile", "shrink"),
    "TEST.NMS_METHOD": ("hard", "linear", "gaussian"),
}
# Keys of the groups that describe a net which only its training looks at.
OF_TRAINING = ("NET.WEIGHTS", "NET.FROZEN_STAGES", "NET.FROZEN_BN", "NET.BN_MOMENTUM", "ANCHORS.BORDERS",
               "GRID.BOX_LOSS")


def default_config():
    """A fresh copy of the defaults (EasyDict)."""
    return EasyDict(copy.deepcopy(DEFAULTS))


def load_config(path=None, overrides=()):
    """Defaults, then the YAML at `path` (and its BASE), then overrides `[KEY, VALUE, KEY, VALUE, ...]`.

    A value of the overrides is read as YAML, so that `TEST.SCALES "[0.5, 1]"` is a list.
    Raises InputError that names the file, the key, what was found and what was expected.
    """
    cfg = default_config()
    if path is not None:
        for file, values in _yaml_chain(path):
            _merge(cfg, values, str(file), "")
        cfg.NAME = cfg.NAME or Path(path).stem
    override(cfg, overrides)
    return cfg


def override(cfg, overrides):
    """Set `[KEY, VALUE, KEY, VALUE, ...]` in a config, in place, as checked as load_config does it."""
    overrides = list(overrides)
    if len(overrides) % 2:
        raise InputError(f"--set takes pairs KEY VALUE: found {len(overrides)} words, the last is {overrides[-1]!r}")
    for key, text in zip(overrides[::2], overrides[1::2], strict=True):
        try:
            value = yaml.safe_load(text) if isinstance(text, str) else text
        except yaml.YAMLError:
            raise InputError(f"--set {key}: {text!r} is no YAML value") from None
        for part in reversed(key.split(".")):
            value = {part: value}
        _merge(cfg, value, "--set", "")


def save_config(cfg, path):
    """Write the whole merged config as YAML; `load_config` of it gives the same config."""
    write_whole(path, yaml.safe_dump(_plain(cfg), sort_keys=False, default_flow_style=None).encode())


def _yaml_chain(path, seen=()):
    """[(file, values)] with the file's BASE before it."""
    path = Path(path)
    if path.resolve() in seen:
        raise InputError(f"{path}: BASE leads back to this file; a config may not be its own base")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: no config can be read there ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise InputError(f"{path}{line}: not YAML ({getattr(error, 'problem', None) or error})") from None
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise InputError(f"{path}: found a {type(values).__name__}, expected keys such as `FAMILY: ssh`")
    base = values.pop("BASE", None)
    if base is not None and not isinstance(base, str):
        raise InputError(f"{path}: BASE is {base!r}, expected the path of another YAML, relative to this one")
    chain = _yaml_chain(path.parent / base, (*seen, path.resolve())) if base else []
    return [*chain, (path, values)]


def _merge(cfg, values, where, prefix):
    for key, value in values.items():
        name = f"{prefix}{key}"
        if key not in cfg:
            while isinstance(value, dict) and value:
                key, value = next(iter(value.items()))
                name += f".{key}"
            near = _nearest(name)
            raise InputError(f"{where}: unknown key {name}" + (f"; did you mean {near}?" if near else ""))
        if isinstance(cfg[key], dict):
            if not isinstance(value, dict):
                raise InputError(f"{where}: {name} is a group of keys, found {value!r}; expected e.g. "
                                 f"{name}.{next(iter(cfg[key]))}")
            _merge(cfg[key], value, where, name + ".")
        else:
            cfg[key] = _checked(value, cfg[key], where, name)


def _nearest(name):
    """The known key that was probably meant, or None: one with the same last part, else one spelt alike."""
    wanted, known = name.upper(), [key for key, _ in flat_items(DEFAULTS)] + [k for k in DEFAULTS]
    same = [key for key in known if key.rpartition(".")[2] == wanted.rpartition(".")[2]]
    return next(iter(difflib.get_close_matches(wanted, same, 1, 0.0) or difflib.get_close_matches(wanted, known, 1)),
                None)


def _checked(value, default, where, name):
    """`value` in the type of `default`; an int passes for a float, and `1e-3` (text to YAML) too."""
    expected = NULLABLE[name] if name in NULLABLE else type(default)
    if value is None and name in NULLABLE:
        return None
    if value is None and expected is str:
        return ""  # `KEY:` with nothing behind it
    if expected is float and not isinstance(value, bool):
        try:
            value = float(value)
        except (TypeError, ValueError):
            pass
    if type(value) is not expected:
        raise InputError(f"{where}: {name} is {value!r} ({type(value).__name__}), expected {expected.__name__}, "
                         f"such as {default!r}")
    if name in CHOICES and value not in CHOICES[name]:
        raise InputError(f"{where}: {name} is {value!r}, expected one of {', '.join(CHOICES[name])}")
    if expected is float and not math.isfinite(value):
        raise InputError(f"{where}: {name} is {value!r}, expected a finite number, such as {default!r}")
    if name in POSITIVE and not value > 0:
        raise InputError(f"{where}: {name} is {value!r}, expected more than 0, such as {default!r}")
    if isinstance(value, list):
        value = _checked_list(value, default, where, name)
    return value


def _checked_list(value, default, where, name):
    """Lists of numbers stay lists of numbers, and lists of lists lists of lists; their length is free but for PAIRS."""
    example = default or NESTED.get(name, [1.0])
    for item, like in ((item, example[0]) for item in value):
        nested = isinstance(like, list)
        for entry in item if nested and isinstance(item, list) else [item]:
            if not isinstance(entry, (int, float)) or isinstance(entry, bool) or nested != isinstance(item, list):
                raise InputError(f"{where}: {name} holds {entry!r}, expected entries such as {example!r}")
    if name in PAIRS and value and len(value) != 2:
        raise InputError(f"{where}: {name} is {value!r}, expected 2 entries such as {example!r}")
    return value


def flat_items(tree, prefix=""):
    """Yield (key such as TRAIN.STEPS, value) for every value of a config."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flat_items(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _plain(value):
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
