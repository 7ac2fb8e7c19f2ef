"""All keys of a config: default, allowed values, role, and meaning as a comment. docs/config.md is made from this.

A group of keys has a role, and so has each key in it that names none of its own. Other modules ask for the keys of a
role (`keys_with`) and for the roles of a key (`roles_of`); nothing about a key is written anywhere else.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from .rules import Group, Rule, flag, fraction, from_0, nullable, number, numbers, one_of, pair, positive, text

ROLES = {
    "net": "decides what the net computes and what its outputs mean; weights fit no other value",
    "targets": "decides what a net with anchors is taught: which anchors are faces, background or left out",
    "samples": "decides which training samples of MTCNN are cut",
    "mining": "decides them too, where the earlier nets of the cascade find the samples",
    "training": "decides the trained weights in another way",
    "testing": "a detector reads it while it runs; an exported model lets only these keys be changed",
    "drawing": "decides which detections are shown, and changes none",
    "running": "changes the time, the memory or the logs, and no result",
    "place": "where files are on this machine; it is not shipped with the weights",
    "name": "what the config is called",
}

KEYS = Group("", {
    "FAMILY": text("ssh", "net"),  # the detector: a family of manyfaces.nets
    "NAME": text("", "name"),  # output/NAME and lib/pretrained/NAME.* follow from it; empty: the stem of the YAML file
    "SEED": number(3, "training", least=0, most=2**32 - 1),  # of data order, augmentation and initial weights
    "DATA_DIR": text("data", "place"),  # holds pickles/ (made by `manyfaces data build`) and imagenet/
    "OUTPUT_DIR": text("output", "place"),  # holds a folder per training
    "NET": Group("net", {
        "BACKBONE": text("mobilenet_v1"),  # a backbone of manyfaces.nets.backbones
        "VARIANT": text("keras"),  # lineage of that backbone: padding, activation, epsilon
        "ALPHA": positive(1.0),  # width multiplier (MobileNets)
        "WEIGHTS": text("", "training"),  # .weights.h5 of the backbone; imagenet: Keras downloads it; empty: random
        "NORMALISE": text(""),  # how pixels are scaled for the backbone (docs/backbones.md); empty: as its ImageNet
        # weights expect
        "FROZEN_STAGES": from_0(0, "training"),  # number of first stages of the backbone that are not trained
        "FROZEN_BN": flag(False, "training"),  # batch normalisation uses its stored moments and is not trained
        "LAST_STRIDE": flag(True),  # False: the backbone has no last stride 2, and M3 pools M2's map (SSH's
        # MobileNetV1)
        "TAPS": text(""),  # ssh: maps for M1, M2, M3 joined by + (docs/backbones.md); if two, M3 pools the second;
        # empty: chosen by stride
        "TOP_DOWN": flag(False),  # True: a top-down path joins all three modules; False: only the paper's M1 fusion
        "WIDTHS": numbers([128, 256, 256], whole=True, over=0),  # of the detection modules M1, M2, M3 (X of the paper)
        "TOP_DOWN_WIDTH": positive(128),  # channels of the fused maps
        "LANDMARKS": flag(False),  # the net also finds five landmarks per box
        "BN": flag(False),  # batch normalisation in the detection modules (the paper has none)
        "SLOPE": number(0.0, least=0, below=1),  # ssh, tiny: slope below zero of the ReLUs in the fusion of maps and in
        # the context modules; 0: plain ReLU
        "SEPARABLE": text(""),  # ssh, tiny: maps joined by + (m1+m2) whose wide 3x3 convolutions, in the fusion of maps
        # and in the detection module, are a depthwise and a 1x1 convolution each
        "BN_MOMENTUM": number(0.99, "training", least=0, below=1),  # of the stored moments, in every layer; a training
        # of a few hundred steps needs a lower one
    }),
    "ANCHORS": Group("net", {
        "STRIDES": numbers([8, 16, 32], whole=True, over=0),  # px between anchors, per module
        "SIZES": numbers([[16, 32], [64, 128], [256, 512]], nested=True, over=0),  # px, square root of the area; a list
        # per module
        "RATIOS": numbers([1.0], over=0),  # height / width
        "WIDTHS": numbers([], empty=True, over=0, example=[16.0, 32.0]),  # px; ssd and tiny have one module, whose
        # anchors have these widths and heights; they do not use SIZES
        "HEIGHTS": numbers([], empty=True, over=0, example=[20.0, 40.0]),  # px, as many as WIDTHS
        "BORDERS": numbers([0, 0, 512], "targets", least=-1),  # px by which the anchors of a module may leave the image
        # and still be trained; -1: any number
    }),
    "GRID": Group("net", {
        "INPUT": positive(224),  # px: every image is squeezed to this square; TEST.SIZE and AUGMENT.SIZE must be equal
        # to it
        "SIZE": from_0(0),  # cells per side; 0: INPUT / 32. INPUT / 16 removes the backbone's last stride; nothing else
        # fits
        "WIDTH": positive(240),  # channels of the 3x3 convolution before the cells
        "BOX_LOSS": one_of("best_cell", "squared", "diou", role="training"),  # best_cell: of the most confident cell;
        # squared, diou: of every face in its own cell
    }),
    "MTCNN": Group("training", {
        "STAGE": one_of("cascade", "pnet", "rnet", "onet", role="net"),  # the net that is trained; cascade: all three,
        # to detect
        "FC": one_of("prelu", "relu", "none", role="net"),  # behind the fully connected layer of R-Net and O-Net; relu:
        # TensorFlow 1's
        "SAMPLES": text("", "training place"),  # folder of the samples (`manyfaces data samples`); empty:
        # OUTPUT_DIR/samples/STAGE
        "LANDMARKS": text(""),  # data sets to learn landmarks from, joined by +; nothing else is taken from them
        "SELECT_LANDMARKS": text(""),  # the same for the selection
        "COUNTS": numbers([60000, 60000, 60000, 180000], "samples", length=4, whole=True, least=0),  # wanted samples:
        # positive, part, landmark, negative
        "RATIO": numbers([1, 1, 1, 3], length=4, whole=True, least=0),  # of these kinds of samples in every batch
        "POSITIVE": fraction(0.65, "samples"),  # IoU with a face from which a crop is positive
        "PART": fraction(0.4, "samples"),  # IoU from which a crop is part of a face
        "NEGATIVE": fraction(0.3, "samples"),  # IoU below which a crop is background; crops from here to PART are left
        # out
        "NARROW": fraction(0.95, "samples"),  # for a face that no square reaches POSITIVE with: a crop is positive from
        # this fraction of the best IoU that a square can have
        "MIN_FACE": from_0(10.0, "samples"),  # px in the image; smaller faces are neither learnt nor background
        "LANDMARK_FACE": from_0(24.0, "samples"),  # px in the image; the landmarks of smaller faces are not learnt
        "ROTATION": number(20.0, "samples", least=0, most=180),  # degrees; two of three landmark samples are turned by
        # up to this, to either side
        "SCALES": pair([1.0, 1.0], "samples", over=0),  # of an image before faces and background are cut from it,
        # log-uniform; a data set that TRAIN.DATASETS names twice is used in two scales
        "PNET": text("", "training place"),  # weights that find samples for rnet and onet; empty: those of the training
        # OUTPUT_DIR/NAME, with pnet in NAME instead of the stage
        "RNET": text("", "training place"),  # weights that find samples for onet, in the same way
        "MINE_THRESHOLDS": numbers([0.5, 0.3], "mining", length=2, over=0, below=1),  # scores from which P-Net and
        # R-Net keep a box
        "MINE_MIN_FACE": positive(16.0, "mining"),  # px, instead of CASCADE.MIN_FACE
        "EASY": fraction(0.25, "mining"),  # at most this fraction of an image's negatives is cut at random where mining
        # does not give enough
        "LOSS_WEIGHTS": numbers([1.0, 0.5, 0.5], length=3, least=0),  # of classification, box and landmarks; for onet
        # 1, 0.5, 1
        "LANDMARK_LOSS": one_of("squared", "absolute"),  # errors of coordinates; squared: MTCNN; absolute: arXiv
        # 1711.06753, section 4
        "OHEM": number(0.7, over=0, most=1),  # fraction of a batch's positives and negatives, the hardest, that
        # classification learns from
        "OHEM_BOX": flag(False),  # the same for the box loss
        "OHEM_GROUP": from_0(96),  # crops that follow one another in a batch and are mined together; 0: the whole batch
    }),
    "CASCADE": Group("testing training", {
        "MIN_FACE": positive(20.0),  # px; faces of this size fill P-Net's window of 12 px in the largest pyramid level
        "FACTOR": number(0.709, over=0, below=1),  # ratio of the sides of a pyramid level to those of the level before
        "THRESHOLDS": numbers([0.6, 0.7, 0.7], length=3, over=0, below=1),  # scores from which P-Net, R-Net and O-Net
        # keep a box
        "NMS": numbers([0.5, 0.7, 0.7, 0.7], length=4, over=0, below=1),  # thresholds: IoU within a level, across
        # levels and behind R-Net; behind O-Net the intersection over the smaller area
        "RESAMPLE": one_of("smooth", "mean"),  # how levels and crops are resized (lib/cascade); mean: as in
        # facenet-pytorch
        "ROUND": flag(True),  # pixels of levels and crops are bytes; False: float32, as in facenet-pytorch
        "BOXES": one_of("continuous", "inclusive"),  # coordinates of boxes and crops; inclusive: as in the MATLAB code
        # and its ports
    }),
    "TARGETS": Group("targets", {
        "POSITIVE": number(0.5, over=0, most=1),  # IoU from which an anchor is a face
        "NEGATIVE": fraction(0.3),  # IoU below which an anchor is background; anchors from here to POSITIVE are ignored
        "BEST": nullable(fraction(None), 0.2),  # IoU from which a face's best anchor is positive; null: it must reach
        # POSITIVE
        "IGNORE_OVERLAP": number(0.5, over=0, most=1),  # background anchors with this fraction of their area in an
        # ignore region are left out
        "BALANCE": fraction(0.0),  # a positive anchor has the weight (8 / n) ** BALANCE, where its face has n positive
        # anchors; 0: large faces, which have most, count most; 1: all faces count the same
        "MASK_PADDING": flag(False),  # background anchors that reach into the grey around a picture are left out (HR)
        "VARIANCES": numbers([0.1, 0.2], "net", length=2, over=0),  # units of box offsets: of the anchor's sides, and
        # of nats
    }),
    "LOSS": Group("training", {
        "CLASS": one_of("ohem", "focal", "mined", "quality"),  # ohem: SSH, section 3.4; focal: RetinaNet, equation 5;
        # mined: SSD, section 2.2; quality: quality focal loss, arXiv 2006.04388: the score learns the IoU of the box
        # with the face
        "OHEM_BATCH": positive(256),  # anchors per module and image
        "OHEM_POSITIVE": fraction(0.5),  # at most this fraction of them are faces
        "OHEM_FILL": flag(True),  # if faces are fewer, backgrounds fill the batch; False: backgrounds keep to the other
        # fraction (HR)
        "FOCAL_ALPHA": fraction(0.75),  # focal: weight of faces; background has 1 - alpha
        "FOCAL_GAMMA": from_0(2.0),  # focal and quality: exponent that lowers the weight of easy anchors
        "MINED_RATIO": positive(3.0),  # mined: number of backgrounds per face, those with the highest scores
        "BOX": one_of("smooth_l1", "diou"),  # diou: 1 - IoU + normalised centre distance
        "BOX_SIGMA": positive(3.0),  # smooth L1 is quadratic below 1 / sigma^2 (SSH 3, SSD 1)
        "BOX_WEIGHT": from_0(1.0),  # of the box loss
        "LANDMARK_WEIGHT": from_0(0.25),  # of the landmark loss
        "MIN_POSITIVES": positive(1.0),  # an image's losses are divided by its positive anchors, but by no less than
        # this
        "WEIGHT_DECAY": from_0(1e-4),  # L2 in the loss for sgd, decoupled for adamw; kernels only
    }),
    "TRAIN": Group("training", {
        "DATASETS": text("wider_train"),  # names in DATA_DIR/pickles, joined by +
        "DATASET_WEIGHTS": numbers([], empty=True, over=0, example=[1.0, 2.0]),  # how often an epoch shows each image,
        # per data set; empty: once
        "CROWDS": from_0(0.0),  # an image with n faces is shown n ** CROWDS times as often as one with a single face
        "EVENTS": fraction(0.0),  # an event (folder of images) with n of them is shown n ** (1 - EVENTS) times as often
        # as one with a single image; 1: all events equally often; 0: all images
        "SELECT": text(""),  # data sets that choose the best checkpoint, joined by +; empty: none
        "SELECT_EVERY": positive(1000),  # steps between selections
        "SELECT_BY": text("AP"),  # measure of a better selection; grid also has iou and iou_nearest
        "SELECT_HEIGHTS": numbers([0], least=0, example=[10, 30, 50]),  # px; AP of a set is the mean of one AP per
        # height, which counts the faces from that height on; 10, 30, 50: about hard, medium and easy of WIDER FACE
        "SELECT_IMAGES": from_0(0),  # score only this many images of each selection set; 0: all
        "MAX_FACES": from_0(0),  # images with more faces are left out of training and selection; 0: none
        "STEPS": positive(300000),  # length of the training
        "EPOCHS": from_0(0),  # > 0: length instead of STEPS; DECAY_AT, SELECT_EVERY and SAVE_EVERY then count epochs
        # too
        "BATCH": positive(1),  # images per step, of all devices together (--devices), which must share them equally
        "MODE": one_of("joint", "random", "group"),  # joint: one update from the sum of the modules' losses; random:
        # one module per step; group: three updates per step
        "OPTIMIZER": one_of("sgd", "adamw"),  # sgd has momentum 0.9
        "RATE": positive(1e-3),  # learning rate
        "RATE_BATCH": from_0(0),  # > 0: RATE is for this many images per step, and is multiplied by BATCH / RATE_BATCH;
        # 0: RATE is used as it is
        "SCHEDULE": one_of("steps", "cosine", "plateau", "cooldown"),  # steps: x DECAY at every entry of DECAY_AT;
        # cosine: down to the fraction FINAL_RATE at STEPS; plateau: x DECAY after PATIENCE epochs without a better
        # selection; cooldown: constant, then linear to FINAL_RATE over the last fraction COOLDOWN of STEPS
        "DECAY_AT": numbers([120000], empty=True, least=0),  # steps after which the rate is lowered
        "DECAY": number(0.1, over=0, most=1),  # steps and plateau: factor of the learning rate
        "COOLDOWN": number(0.2, over=0, most=1),  # cooldown: fraction of STEPS; before it, STEPS may still be changed
        # when the training is resumed
        "FINAL_RATE": fraction(0.01),  # cosine, cooldown: final fraction of the learning rate
        "PATIENCE": positive(5.0),  # plateau: epochs to wait for a better selection
        "STOP_AFTER": from_0(0.0),  # epochs without a better selection that end the training; 0: only STEPS ends it
        "WARMUP": from_0(0),  # steps of linear warm-up
        "CLIP_NORM": from_0(10.0),  # of the whole gradient; 0: none
        "EMA": number(0.0, least=0, below=1),  # momentum of the moving average of the weights, which is tested and
        # shipped; 0: none
        "SAVE_EVERY": positive(500, "running"),  # steps between checkpoints
        "LOG_EVERY": positive(20, "running"),  # steps between rows of train.csv and TensorBoard
        "IMAGES_EVERY": from_0(1000, "running"),  # steps between pictures in TensorBoard; 0: none
        "TRACKERS": text("", "running"),  # mlflow and wandb, joined by +: they record the training too, on this machine
        # (docs/tracking.md)
        "PRECISION": one_of("float32", "bfloat16", "float16"),  # type in which the net computes while it trains;
        # weights, losses and what is tested stay float32; 16 bits are for GPUs, and slower on a CPU (docs/gpu.md)
        "DETERMINISTIC": flag(True),  # each run gives the same bits, on a busy machine too; costs little on a CPU
        "INIT": text("", "training place"),  # .weights.h5 to start from: layers of the same name and shape are taken,
        # the others are listed
    }),
    "AUGMENT": Group("training", {
        "KIND": one_of("crop", "ssd"),  # crop: windows around a face that keep the aspect; ssd: SSD's (section 2.2),
        # squeezed to SIZE
        "SIZE": positive(640),  # px, side of the training sample, a square
        "SIZES": numbers([], empty=True, whole=True, over=0, example=[320, 640]),  # px; steps use these sides in turn
        # instead of SIZE. BATCH is for the first; a step with a larger one has fewer samples, for about as many pixels
        "EXPAND": number(4.0, least=1),  # ssd: zoom-out, the grey canvas has up to this many times the sides of the
        # image
        "EXPAND_PROBABILITY": fraction(0.5),  # ssd: of a zoom-out
        "CROP_OVERLAPS": numbers([0.1, 0.3, 0.5, 0.7, 0.9], empty=True, least=0, most=1),  # ssd: least IoU of a crop
        # with some face; one of these is drawn per sample
        "CROP_SIDES": pair([0.1, 1.0], over=0, most=1),  # ssd: sides of a crop as fractions of the canvas sides
        "SCALES": pair([0.3, 2.0], over=0),  # crop: of the image before a crop is cut
        "SCALE_CHOICES": numbers([], empty=True, over=0, example=[0.5, 1, 2]),  # crop: one of these scales is drawn
        # instead of one from SCALES
        "STRETCH": pair([1.0, 1.0], over=0),  # crop: width / height, for nets that receive images squeezed to
        # TEST.SIZE; log-uniform
        "FACE_SIZES": pair([], empty=True, over=0, example=[10, 200]),  # px; a random face is scaled to a size from
        # this range (log-uniform); empty: SCALES decides alone
        "FACE_PROBABILITY": fraction(0.9),  # how often FACE_SIZES decides the scale (clipped to SCALES), else SCALES
        # does
        "BACKGROUND": fraction(0.0),  # how often a crop lies anywhere in the image instead of around a face, scaled by
        # SCALES
        "ZOOM_OUT": positive(1.6),  # a window has at most this many times the longer side of the image; the rest is
        # grey
        "MOSAIC": fraction(0.0),  # probability of four images in one
        "FLIP": fraction(0.5),  # probability of a mirrored sample
        "COLOUR": fraction(0.5),  # probability of each of brightness, contrast, saturation, hue
        "TURN": fraction(0.0),  # probability of a sample turned by one, two or three quarters
        "COVER": fraction(0.0),  # probability of each face that a part of it is covered
        "GREY": fraction(0.0),  # probability of a sample without colour
        "BLUR": fraction(0.0),  # probability of a loss of resolution (scaled down and up again, or JPEG)
        "BLUR_FACTORS": pair([0.4, 0.9], over=0, most=1),  # of the sides when scaled down, uniform
        "ERASE": fraction(0.0),  # MTCNN: probability that a rectangle of a crop is hidden
        "ZOOM_IN": number(0.0, least=0, below=1),  # MTCNN: at most this fraction of a crop's sides is cut off
        "MIN_FACE": from_0(4.0),  # px after scaling; smaller faces become ignore regions
        "MIN_VISIBLE": fraction(0.333),  # faces cut to less than this fraction of their area become ignore regions
        "CLEAN_STEPS": from_0(0),  # number of last steps without mosaic, cover and blur
    }),
    "LOADER": Group("running", {
        "WORKERS": from_0(2),  # threads that read, decode and augment; 0 is 1
        "PREFETCH": from_0(8),  # batches made ahead
        "CACHE_MB": from_0(0),  # MB of decoded images that are kept in memory
    }),
    "TEST": Group("testing", {
        "SIZE": numbers([], length=2, empty=True, whole=True, over=0, example=[300, 300]),  # px; every image is
        # squeezed to this width and height whatever its aspect, and SCALES are of that
        "SCALES": numbers([1.0], over=0),  # of the original image; > 10: length of the shorter side in px
        "MAX_SIDE": from_0(0),  # px; larger images are scaled down to this longer side; 0: never
        "MAX_PIXELS": from_0(16000000),  # most pixels per call of the net; larger batches and images are cut; 0: no
        # limit
        "MAX_FILE_PIXELS": from_0(0, "testing running"),  # px; an image file whose header says more is refused before
        # it is decoded; 0: MANYFACES_MAX_FILE_PIXELS of the environment, else 178956970
        "LARGE": one_of("tile", "shrink"),  # images above MAX_PIXELS. tile: cut into overlapping tiles, with the result
        # of the whole (ssh and tiny; mtcnn has its own way); shrink: scaled down, as always for ssd and grid
        "TILE_OVERLAP": positive(256),  # px that a tile has beyond its own area, as far as the receptive fields of ssh
        # and tiny reach
        "TEMPLATES": numbers([], nested=True, empty=True, least=0, example=[[1.0, 19, 25]]),  # tiny: [[over, first,
        # last], ...]: templates first to last (from 1) score images that are scaled by more than `over` (and, with a
        # fourth number, up to that one); empty: all templates score all scales
        "FLIP": flag(False),  # the mirrored image is tested too
        "SCORE": number(0.02, least=0, below=1),  # lowest score of a detection
        "NMS": fraction(0.3),  # IoU above which the lower score is suppressed
        "NMS_METHOD": one_of("hard", "linear", "gaussian"),  # linear and gaussian: soft NMS
        "TOP": positive(1000),  # boxes per module before NMS
        "KEEP": positive(750),  # boxes per image after NMS
        "BATCH": positive(1, "testing running"),  # images per call of the net
        "DEMO_SCORE": fraction(0.5, "testing drawing"),  # lowest score of a face that is drawn
        "HIDE_SCORE": fraction(0.3, "testing drawing"),  # lowest score of a face that is blurred or pixelated; lower,
        # because a missed face counts more there than a false one
    }),
})


def _flat(group: Group, prefix: str = "") -> Iterator[tuple[str, Rule]]:
    for name, entry in group.items():
        if isinstance(entry, Group):
            yield from _flat(entry, f"{prefix}{name}.")
        else:
            yield prefix + name, replace(entry, role=entry.role or group.role)


RULES = dict(_flat(KEYS))
"""Key such as TRAIN.STEPS -> its Rule, with the role of its group where it names none."""


def defaults(group: Group = KEYS) -> dict[str, Any]:
    """The defaults as nested dicts. They are not copied: whoever changes a config copies them first."""
    return {name: defaults(entry) if isinstance(entry, Group) else entry.default for name, entry in group.items()}


def keys_with(*roles: str) -> tuple[str, ...]:
    """Keys such as TRAIN.STEPS that have one of the roles, in the order of the table."""
    return tuple(key for key, rule in RULES.items() if set(roles) & set(rule.role.split()))


def roles_of(key: str) -> set[str]:
    """Roles of a key.

    A group has those of all its keys. A key that this version does not know has those of the groups and keys that its
    name begins with.
    """
    if key in RULES:
        return set(RULES[key].role.split())
    below = [rule.role for known, rule in RULES.items() if known.startswith(f"{key}.")]
    if below:
        return set(" ".join(below).split())
    roles: set[str] = set()
    entry: Rule | Group | None = KEYS
    for name in key.split("."):
        entry = entry.get(name) if isinstance(entry, Group) else None
        if entry is None:
            break
        roles |= set(entry.role.split())
    return roles
