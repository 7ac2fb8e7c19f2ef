"""The table of downloads: `manyfaces data fetch NAME` fetches a row, docs/reproduce.md shows all.

None of these files is part of the package, and each has its own licence. A checksum or size that no source states is
empty; such a file is taken as it comes, and the command prints its checksum.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class File:
    """One file of a download.

    Attributes:
        name: what it is called here.
        address: where it is, official or as near to that as a program can fetch.
        size: bytes; None: not known.
        checksum: `sha256:...`, `sha1:...` or `md5:...`, in hexadecimal digits; empty: not known.
        source: who states the size and the checksum.
        unpack: how it is unpacked: `zip`, `tar`, or empty, then it stays as it is.
        members: name in the archive -> name below the folder, for those that are wanted; empty: all, as they are named.
        gives: a file or folder below the folder that is there once it is unpacked.
    """

    name: str
    address: str
    size: int | None = None
    checksum: str = ""
    source: str = ""
    unpack: str = ""
    members: dict[str, str] = field(default_factory=dict)
    gives: str = ""


@dataclass(frozen=True)
class Download:
    """A row of the table.

    Attributes:
        line: what it is.
        folder: where it goes, below the data folder.
        files: what is fetched; empty: it can only be fetched by hand.
        page: the page of its authors.
        licence: in a few words.
        then: what to run afterwards.
    """

    line: str
    folder: str
    files: tuple[File, ...]
    page: str
    licence: str
    then: str = ""


HUB = "https://huggingface.co/datasets/CUHK-CSE/wider_face/resolve/main/data/"
HUB_SAYS = "the Git LFS pointer in the authors' repository on Hugging Face"
WIDER_PAGE = "http://shuoyang1213.me/WIDERFACE/"
WIDER_LICENCE = "images for research; the repository on Hugging Face says CC BY-NC-ND 4.0"
BUILD = "experiments/scripts/build_roidbs.sh"

DOWNLOADS = {
    "wider": Download("WIDER FACE: images of train and val, and their boxes", "wider", (
        File("wider_face_split.zip", HUB + "wider_face_split.zip", 3_591_642,
             "sha256:c7561e4f5e7a118c249e0a5c5c902b0de90bbf120d7da9fa28d99041f68a8a5c", HUB_SAYS, "zip",
             gives="wider_face_split/wider_face_train_bbx_gt.txt"),
        File("WIDER_val.zip", HUB + "WIDER_val.zip", 362_752_168,
             "sha256:f9efbd09f28c5d2d884be8c0eaef3967158c866a593fc36ab0413e4b2a58a17a", HUB_SAYS, "zip",
             gives="WIDER_val/images"),
        File("WIDER_train.zip", HUB + "WIDER_train.zip", 1_465_602_149,
             "sha256:e23b76129c825cafae8be944f65310b2e1ba1c76885afe732f179c41e5ed6d59", HUB_SAYS, "zip",
             gives="WIDER_train/images"),
    ), WIDER_PAGE, WIDER_LICENCE, BUILD),
    "wider_test": Download("WIDER FACE: images of test, which have no public boxes", "wider", (
        File("WIDER_test.zip", HUB + "WIDER_test.zip", 1_844_140_520,
             "sha256:3b0313e11ea292ec58894b47ac4c0503b230e12540330845d70a7798241f88d3", HUB_SAYS, "zip",
             gives="WIDER_test/images"),
    ), WIDER_PAGE, WIDER_LICENCE),
    "wider_eval": Download("WIDER FACE: the official ground truth of val", "wider_eval", (
        File("eval_tools.zip", WIDER_PAGE + "support/eval_script/eval_tools.zip", unpack="zip",
             members={f"eval_tools/ground_truth/{name}.mat": f"ground_truth/{name}.mat" for name in (
                 "wider_face_val", "wider_easy_val", "wider_medium_val", "wider_hard_val")},
             gives="ground_truth/wider_hard_val.mat"),
    ), WIDER_PAGE, "as WIDER FACE", "manyfaces evaluate wider --gt data/wider_eval/ground_truth --pred DIR"),
    "wider_landmarks": Download("RetinaFace's five landmarks for faces of WIDER FACE train", "wider", (
        File("retinaface_gt_v1.1.zip", "https://www.dropbox.com/s/7j70r3eeepe4r2g/retinaface_gt_v1.1.zip?dl=1",
             unpack="zip", members={"train/label.txt": "wider_face_split/retinaface_train_label.txt"},
             gives="wider_face_split/retinaface_train_label.txt"),
    ), "https://github.com/deepinsight/insightface/tree/master/detection/retinaface", "as WIDER FACE", BUILD),
    "fddb": Download("FDDB: images and ellipses", "fddb", (
        File("FDDB-folds.tgz", "http://vis-www.cs.umass.edu/fddb/FDDB-folds.tgz", None,
             "sha1:94ce19ba3348425dfbb8bcbe55802490f8f152f8", "a public program that reads FDDB", "tar",
             gives="FDDB-folds"),
        File("originalPics.tar.gz", "http://tamaraberg.com/faceDataset/originalPics.tar.gz", unpack="tar",
             gives="2002"),
    ), "http://vis-www.cs.umass.edu/fddb/", "images for research", "manyfaces evaluate fddb --help"),
    "landmarks": Download("CNN_FacePoint: faces with five landmarks, for MTCNN", "landmarks", (
        File("train.zip", "http://mmlab.ie.cuhk.edu.hk/archive/CNN/data/train.zip", unpack="zip",
             gives="trainImageList.txt"),
    ), "http://mmlab.ie.cuhk.edu.hk/archive/CNN_FacePoint.htm", "images for research",
        "experiments/scripts/build_roidbs.sh, for which images/ must hold the folders that the lists name"),
    "facemask": Download("face mask detection: 853 images, Pascal VOC", "facemask", (),
                         "https://www.kaggle.com/datasets/andrewmvd/face-mask-detection",
                         "as its page says; the page asks for an account", BUILD),
    "mobilenet_v1_025": Download("ImageNet weights of MobileNetV1 x0.25, for PyTorch", "imagenet", (
        File("mobilenetV1X0.25_pretrain.tar",
             "https://drive.google.com/uc?export=download&id=1q36RaTZnpHVl4vRuNypoEMVWiiwCqhuD", 3_827_150,
             "sha256:75c37f8d438b7c6aed2e6b310fd0540c40dabf0dd820770bd7082668dfd7c1c1",
             "a copy in a public repository, which another copy equals",
             gives="mobilenetV1X0.25_pretrain.tar"),
    ), "https://github.com/biubug6/Pytorch_Retinaface", "MIT",
        "manyfaces import mobilenet_v1_025 --source data/imagenet/mobilenetV1X0.25_pretrain.tar "
        "--out data/imagenet/mobilenet_v1_025.weights.h5"),
    "retinaface": Download("RetinaFace on MobileNetV1 x0.25, for PyTorch", "retinaface", (
        File("mobilenet0.25_Final.pth",
             "https://drive.google.com/uc?export=download&id=15zP8BP-5IvWXWZoYTNdvUJUiBqZ1hxu1",
             gives="mobilenet0.25_Final.pth"),
    ), "https://github.com/biubug6/Pytorch_Retinaface", "MIT",
        "manyfaces import retinaface --source data/retinaface/mobilenet0.25_Final.pth "
        "--out data/retinaface/retinaface_mobilenet_v1_025.weights.h5"),
    "resnet101_slim": Download("ImageNet weights of ResNet-101 by TF-Slim", "imagenet", (
        File("resnet_v1_101_2016_08_28.tar.gz",
             "http://download.tensorflow.org/models/resnet_v1_101_2016_08_28.tar.gz", unpack="tar",
             gives="resnet_v1_101.ckpt"),
    ), "https://github.com/tensorflow/models/tree/master/research/slim", "Apache-2.0",
        "manyfaces import slim --net resnet_v1_101 --source data/imagenet/resnet_v1_101.ckpt "
        "--out data/imagenet/resnet101_slim.weights.h5"),
    "mobilenet_v2_140": Download("ImageNet weights of MobileNetV2 x1.4 by TF-Slim", "imagenet", (
        File("mobilenet_v2_1.4_224.tgz",
             "https://storage.googleapis.com/mobilenet_v2/checkpoints/mobilenet_v2_1.4_224.tgz", unpack="tar",
             gives="mobilenet_v2_1.4_224.ckpt.index"),
    ), "https://github.com/tensorflow/models/tree/master/research/slim/nets/mobilenet", "Apache-2.0",
        "manyfaces import slim --net mobilenet_v2 --alpha 1.4 --source data/imagenet/mobilenet_v2_1.4_224.ckpt "
        "--out data/imagenet/mobilenet_v2_140.weights.h5"),
}

BACKBONES = {f"{name}.weights.h5": name for name, row in DOWNLOADS.items() if row.folder == "imagenet"}
"""Name of a weights file that NET.WEIGHTS may name -> row that it is made from."""
