"""The work of the scripts here: run.py SCRIPT JOB FAMILY ARGUMENTS runs the tools that train, test, show or export.

SCRIPT is the calling script, whose head is its usage text. Nothing but the standard library is imported, so that a
script works, and says what is missing, without the environment that `make` builds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import takewhile
from typing import NoReturn

HERE = os.getcwd()  # where the user is
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VENV = os.path.join(ROOT, ".venv", "bin", "python")
PYTHON = os.environ.get("PYTHON") or (VENV if os.access(VENV, os.X_OK) else "python3")
DATA = os.environ.get("DATA") or "data"
OUTPUT = os.environ.get("OUTPUT") or "output"  # trainings are found there; predictions and exported models go there

STAGES = ("pnet", "rnet", "onet")
BACKBONES = {"vgg16": "vgg16", "res50": "resnet50", "res101": "resnet101", "res152": "resnet152",
             "mobile": "mobilenet_v1_100", "mobile_v2": "mobilenet_v2_100", "mobile_025": "mobilenet_v1_025"}
NETS = {  # family -> NET, the short name -> config
    "ssh": {net: f"ssh_{backbone}" for net, backbone in BACKBONES.items()},
    "tiny": {net: f"tiny_{backbone}" for net, backbone in BACKBONES.items()},
    "ssd": {"mobile_v2": "ssd_mobilenet_v2_075", "mobile_v2_crops": "ssd_mobilenet_v2_075_crops"},
    "grid": {"mobile_v2": "grid_mobilenet_v2_100", "mobile_v2_075": "grid_mobilenet_v2_075"},
    "mtcnn": {"cascade": "mtcnn"},
}
DEFAULT_NETS = {"ssh": "mobile_025", "tiny": "res101", "ssd": "mobile_v2", "grid": "mobile_v2", "mtcnn": "cascade"}
# Without DATASET a net is trained on the data set of its config, Tiny Faces on that of the paper.
TRAINED_ON = {"tiny": "wider"}
ON_BOTH = ("mtcnn", "grid_", "ssd_", "ssh_mobilenet_v1_025", "tiny_mobilenet_v1_025")  # begin of such configs' names
PARTS = ("events", "crowd")  # of WIDER FACE's validation set: DATA/wider_events, DATA/wider_crowd
WIDER_IMAGES = 3226  # of WIDER FACE's validation set
FORMATS = {  # FORMAT -> (what is added to the file's name, whether it is in eight bits)
    # Two models in one folder must not share a stem: each has MODEL.json beside it.
    "onnx": (".onnx", False), "onnx_nms": ("_nms.onnx", False), "onnx_int8": ("_int8.onnx", True),
    "openvino": ("_openvino.xml", False), "openvino_int8": ("_openvino_int8.xml", True),
    "litert": ("_litert.tflite", False), "litert_int8": ("_litert_int8.tflite", True),
    "saved_model": ("_saved_model", False),
}


# ------------------------------------------------------------ running tools


def fail(text: str, code: int = 2) -> NoReturn:
    """End with a message."""
    print(f"error: {text}", file=sys.stderr)
    sys.exit(code)


def call(*words: str) -> None:
    """Run a tool and wait for it; where it fails, end with its exit code."""
    sys.stdout.flush()
    try:
        process = subprocess.Popen([PYTHON, *words])
    except OSError as error:
        fail(f"{PYTHON}: {error.strerror}", 127)
    while True:
        try:
            code = process.wait()
            break
        except KeyboardInterrupt:  # the tool receives Ctrl-C as well: it saves what it has and ends
            continue
    if code:
        sys.exit(code if code > 0 else 128 - code)


def become(*words: str) -> NoReturn:
    """Run a tool in the place of this process, which then receives its signals."""
    sys.stdout.flush()
    try:
        os.execvp(PYTHON, [PYTHON, *words])
    except OSError as error:
        fail(f"{PYTHON}: {error.strerror}", 127)


# ------------------------------------------------------------ names


def use_gpu(gpu: str) -> int:
    """Set which GPUs the tools see.

    Args:
        gpu: a number, several joined by commas, or -1 or cpu for none.

    Returns:
        The number of GPUs that share a batch, 1 without any.
    """
    if gpu in ("cpu", "-1"):
        gpu = "-1"
    elif not gpu or set(gpu) - set("0123456789,"):
        fail(f"GPU_ID is '{gpu}', expected a number such as 0, or cpu")
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    return gpu.count(",") + 1


def config_of(family: str, net: str) -> str:
    """Name of the config of a NET."""
    names = list(NETS[family])
    if net not in names:
        expected = " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
        fail(f"NET is '{net}', expected {expected}")
    return NETS[family][net]


def sets(dataset: str, part: str) -> str:
    """wider_train+facemask_train of wider+facemask and train."""
    return "+".join(f"{name}_{part}" for name in dataset.split("+"))


def run_name(config: str, dataset: str) -> str:
    """Name below output/: that of the config, with the data set where it is not the one of the config."""
    own = "wider+facemask" if config.startswith(ON_BOTH) else "wider"
    return config if dataset in ("", own) else f"{config}_{dataset}"


def weights_option(config: str, dataset: str) -> list[str]:
    """--weights of the best weights trained on the data set, else on that of the config; none for those that ship."""
    output = os.path.join(ROOT, OUTPUT)  # the demo runs where the user is
    if config == "mtcnn":  # three nets, trained in output/mtcnn_DATASET/mtcnn_pnet and so on, or in output/mtcnn_pnet
        for folder in (os.path.join(output, f"mtcnn_{dataset}"), output):
            if all(has_weights(os.path.join(folder, f"mtcnn_{stage}")) for stage in STAGES):
                return ["--weights", folder]
        return []
    for name in (run_name(config, dataset), config):
        path = os.path.join(output, name, "best.weights.h5")
        if os.path.isfile(path):
            return ["--weights", path]
    return []


def files_below(folder: str, ending: str) -> int:
    """Number of files with an ending in a folder and those below it."""
    return sum(name.endswith(ending) for _, _, names in os.walk(folder, followlinks=True) for name in names)


def has_weights(folder: str) -> bool:
    """Whether there are weights in a folder or below it."""
    return files_below(folder, ".weights.h5") > 0


def need_folder(folder: str) -> str:
    """The folder, which must be there."""
    if not os.path.isdir(folder):
        fail(f"{folder}: no such folder; `manyfaces data fetch wider wider_eval` fetches WIDER FACE into data, "
             f"data/README.md names the others; or set DATA to the folder that holds them")
    return folder


class Arguments:
    """[GPU_ID] [DATASET] [NET] and whatever follows, as most scripts take them."""

    def __init__(self, family: str, words: list[str]):
        gpu, self.dataset, net = (*words[:3], "", "", "")[:3]
        self.gpus = use_gpu(gpu or "0")
        self.config = config_of(family, net or DEFAULT_NETS[family])
        self.cfg, self.more = f"cfgs/{self.config}.yml", words[3:]


# ------------------------------------------------------------ jobs


def train(family: str, words: list[str]) -> None:
    """tools/train.py on DATASET, with a batch shared by the GPUs."""
    if family == "mtcnn":
        train_cascade(words)
        return
    given = Arguments(family, words)
    dataset, options = given.dataset or TRAINED_ON.get(family, ""), []
    if dataset not in ("", "wider", "facemask", "wider+facemask", "toy"):
        fail(f"DATASET is '{dataset}', expected wider, facemask, wider+facemask or toy")
    if dataset:
        options = ["--set", "NAME", run_name(given.config, dataset), "TRAIN.DATASETS", sets(dataset, "train"),
                   "TRAIN.SELECT", sets(dataset, "select")]
    if given.gpus > 1:
        options += ["--devices", str(given.gpus)]
    become("tools/train.py", "--cfg", given.cfg, *options, *given.more)


def train_cascade(words: list[str]) -> None:
    """MTCNN: the samples and the training of each net, then the export. What is done is not done again."""
    gpu, dataset = (*words[:2], "", "")[:2]
    use_gpu(gpu or "0")
    dataset, more = dataset or "wider+facemask", words[2:]
    data, output = os.environ.get("DATA_DIR") or "data", OUTPUT
    sources, landmarks, keys = sets(dataset, "train"), "landmarks_train+wider_train", ["DATA_DIR", data]
    if dataset != "wider+facemask":
        output = f"{output}/mtcnn_{dataset}"

        def points(part):  # the sets with landmarks
            there = os.path.isfile(f"{data}/pickles/landmarks_{part}.pkl")
            return (f"landmarks_{part}+" if there else "") + sets(dataset, part)

        landmarks = points("train")
        keys += ["TRAIN.DATASETS", sources, "TRAIN.SELECT", sets(dataset, "select"), "MTCNN.LANDMARKS", landmarks,
                 "MTCNN.SELECT_LANDMARKS", points("select")]
    keys += ["OUTPUT_DIR", output]
    for stage in STAGES:
        cfg = f"cfgs/mtcnn_{stage}.yml"
        print(f"== samples for {stage}")
        call("tools/mtcnn_samples.py", "--stage", stage, "--cfg", cfg, "--set", *keys, *more)
        print(f"== training of {stage}")
        resume = ["--resume"] if os.path.isfile(f"{output}/mtcnn_{stage}/config.yml") else []
        call("tools/train.py", "--cfg", cfg, *resume, "--set", *keys, *more)
    print("== export")
    call("tools/export.py", "--cfg", "cfgs/mtcnn.yml", "--weights", output, "--out", f"{output}/mtcnn", "--set",
         "TRAIN.DATASETS", sources, "MTCNN.LANDMARKS", landmarks, *keys, *more)


def demo(family: str, words: list[str]) -> None:
    """tools/demo.py where the user is, who names the sources from there."""
    given = Arguments(family, words)
    weights = weights_option(given.config, given.dataset)
    os.chdir(HERE)
    become(f"{ROOT}/tools/demo.py", "--cfg", f"{ROOT}/{given.cfg}", *weights, *given.more)


def test(family: str, words: list[str]) -> None:
    """tools/test.py on DATASET, then tools/evaluate.py."""
    given = Arguments(family, words)
    dataset = given.dataset or "wider"
    if family == "grid":  # one face per image: AP on a roidb is what can be measured
        if dataset not in ("wider", "facemask"):
            fail(f"DATASET is '{dataset}', expected wider or facemask")
        roidb = f"data/pickles/{dataset}_val.pkl"
        if not os.path.isfile(roidb):
            fail(f"{roidb}: no such file; build it with experiments/scripts/build_roidbs.sh")
        pred = detect(given, dataset, images_of(dataset))
        for kind in ("best_box", "roidb"):
            call("tools/evaluate.py", kind, "--roidb", roidb, "--pred", pred)
        return
    images = images_of(dataset)
    truth = f"{DATA}/wider/ground_truth"
    if not os.path.isdir(truth):
        truth = f"{DATA}/wider_eval/ground_truth"
    if dataset in ("wider", *PARTS):
        need_folder(truth)
    pred = detect(given, dataset, images)
    whole = dataset == "wider" and files_below(images[1], ".jpg") >= WIDER_IMAGES
    options = {"wider": ["wider", "--gt", truth, *([] if whole else ["--subset"])],
               **{part: ["wider", "--gt", truth, "--subset"] for part in PARTS},
               "facemask": ["roidb", "--roidb", "data/pickles/facemask_val.pkl"],
               "toy": ["wider", "--gt", "data/toy/test/ground_truth"]}
    call("tools/evaluate.py", *options[dataset], "--pred", pred)


def images_of(dataset: str) -> list[str]:
    """The options of tools/test.py that name the images of a data set; the second word is their folder."""
    images = {"wider": [f"{DATA}/wider/WIDER_val/images"],
              **{part: [f"{DATA}/wider_{part}/images"] for part in PARTS},
              "facemask": [f"{DATA}/facemask/images", "--list", f"{DATA}/facemask/val.txt"],
              "toy": ["data/toy/test/WIDER_toy/images"]}
    if dataset not in images:
        fail(f"DATASET is '{dataset}', expected wider, {', '.join(PARTS)}, facemask or toy")
    need_folder(images[dataset][0])
    return ["--images", *images[dataset]]


def detect(given: Arguments, dataset: str, images: list[str]) -> str:
    """Write predictions; returns their folder."""
    weights, pred = weights_option(given.config, dataset), f"{OUTPUT}/{given.config}/pred_{dataset}"
    print(f"== {given.config} on {dataset} {' '.join(weights) or 'with the shipped weights'}")
    call("tools/test.py", "--cfg", given.cfg, *weights, *images, "--out", pred, *given.more)
    return pred


def export(family: str, words: list[str]) -> None:
    """tools/export.py in FORMAT, the fourth argument."""
    given = Arguments(family, words)
    kind, options = (given.more or [""])[0] or "onnx", []
    name = run_name(given.config, given.dataset)
    formats = ("onnx", "openvino") if family == "mtcnn" else tuple(FORMATS)
    if kind not in formats:
        fail(f"FORMAT is '{kind}', expected {', '.join(formats[:-1])} or {formats[-1]}")
    ending, eight_bits = FORMATS[kind]
    out = f"{name}{ending}"
    if family == "mtcnn":  # three nets in a folder
        out, options = kind, ["--format", kind]
    elif eight_bits:  # WIDER FACE's training images: no reported figure is measured on them
        options = ["--int8", "--calibrate", need_folder(f"{DATA}/wider/WIDER_train/images")]
    elif kind == "onnx_nms":
        options = ["--nms"]
    become("tools/export.py", "--cfg", given.cfg, *weights_option(given.config, given.dataset), "--out",
           f"{OUTPUT}/{name}/{out}", *options, *given.more[1:])


# ------------------------------------------------------------ overfitting four images

# 17 faces, 61 to 108 px high where the images are 800 px wide, so 20 to 35 px here; none is marked invalid.
FOUR_IMAGES = """\
16--Award_Ceremony/16_Award_Ceremony_Awards_Ceremony_16_147.jpg
19--Couple/19_Couple_Couple_19_771.jpg
30--Surgeons/30_Surgeons_Surgeons_30_984.jpg
4--Dancing/4_Dancing_Dancing_4_737.jpg
"""
# A crop holds a whole image, somewhere. All templates are used, because TEST.TEMPLATES is meant for a pyramid. The
# config's rate and its frozen layers are for ImageNet's weights. A face from IoU 0.5 on, not 0.7: templates between
# background and face learn no box, and in a net that has overfitted its images they score as high as those that do.
FOUR_KEYS = """
    NET.FROZEN_BN False NET.FROZEN_STAGES 0 NET.BN_MOMENTUM 0.9 LOSS.WEIGHT_DECAY 0 TRAIN.DATASETS overfit
    TRAIN.SELECT overfit TRAIN.SELECT_IMAGES 0 TRAIN.SELECT_EVERY 20 TRAIN.STEPS 120 TRAIN.BATCH 4 TRAIN.OPTIMIZER adamw
    TRAIN.RATE 5e-4 TRAIN.SCHEDULE cosine TRAIN.WARMUP 20 TRAIN.LOG_EVERY 10 TRAIN.SAVE_EVERY 1000 TRAIN.IMAGES_EVERY 0
    AUGMENT.SIZE 256 AUGMENT.SCALE_CHOICES [0.32] AUGMENT.FLIP 0 TEST.SCALES [1] TEST.MAX_SIDE 256 TEST.TEMPLATES []
    TARGETS.POSITIVE 0.5""".split()
# Without batch normalisation the faces, a few templates among 128 backgrounds, are learnt too slowly.
VGG16_KEYS = "LOSS.OHEM_BATCH 32 TRAIN.BATCH 2 TRAIN.STEPS 300 TRAIN.SELECT_EVERY 50".split()


def overfit(family: str, words: list[str]) -> None:
    """Train on four images and test on the same: AP must be 1."""
    gpu, net = (*words[:2], "", "")[:2]
    use_gpu(gpu or "0")
    config = config_of(family, net or DEFAULT_NETS[family])
    run, images = f"output/overfit_{config}", f"{DATA}/wider/WIDER_train/images"
    names, roidb, result = f"{run}/images.txt", "data/pickles/overfit.pkl", f"{run}/result.json"
    need_folder(images)
    if os.path.isdir(run):
        fail(f"{run} is there already: move it away")
    os.makedirs(run)
    os.makedirs("data/pickles", exist_ok=True)
    with open(names, "w", encoding="utf-8") as file:
        file.write(FOUR_IMAGES)
    call("tools/build_roidb.py", "--format", "wider", "--images", images, "--labels",
         f"{DATA}/wider/wider_face_split/wider_face_train_bbx_gt.txt", "--only", names, "--out", roidb)
    keys = [*(VGG16_KEYS if config == "tiny_vgg16" else []), *words[2:]]
    call("tools/train.py", "--cfg", f"cfgs/{config}.yml", "--set", "NAME", f"overfit_{config}", "NET.WEIGHTS", "",
         *FOUR_KEYS, *keys)
    call("tools/test.py", "--cfg", f"{run}/config.yml", "--weights", f"{run}/last.weights.h5", "--images", images,
         "--list", names, "--out", f"{run}/pred")
    call("tools/evaluate.py", "roidb", "--pred", f"{run}/pred", "--roidb", roidb, "--json", result)
    with open(result, encoding="utf-8") as file:
        ap = json.load(file)[0]["ap50"]
    print(f"AP at IoU 0.5 on the four images: {ap:.4f}; expected 1")
    sys.exit(ap < 1 - 1e-9)


JOBS = {"train": train, "test": test, "demo": demo, "export": export, "overfit": overfit}


def main(script: str, job: str, family: str, *words: str) -> None:
    """Print the usage text of a script, or do its job in the repository's root."""
    if words[:1] in (("-h",), ("--help",)):
        with open(script, encoding="utf-8") as file:
            lines = file.read().splitlines()[1:]
        print("\n".join(line[2:] for line in takewhile(lambda line: line.startswith("#"), lines)))
        return
    os.chdir(ROOT)
    JOBS[job](family, list(words))


if __name__ == "__main__":
    main(*sys.argv[1:])
