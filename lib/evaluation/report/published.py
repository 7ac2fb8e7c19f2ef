"""Average precision on WIDER FACE's validation set as the authors of other detectors report it, for comparison.

Reported, not measured here: the test scale, flipping, the score threshold and NMS differ and are not always stated.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import InputError

OFFICIAL = {"easy": 7211, "medium": 13319, "hard": 31958}
"""Faces that count in the whole official validation set: only with these do published figures compare."""


@dataclass(frozen=True)
class Published:
    """One row.

    Attributes:
        key: chooses the row on a command line.
        model: name of the detector.
        test: how it was tested, "" where that is not stated.
        easy: AP, 0..1.
        medium: AP, 0..1.
        hard: AP, 0..1.
        source: where the figures are from.
    """

    key: str
    model: str
    test: str
    easy: float
    medium: float
    hard: float
    source: str


_HR = "arXiv 1612.04402 and its curves"
_SSH = "arXiv 1708.03979"
_SSH_TF = "README of SSH-TensorFlow"
_SCRFD = "README of SCRFD"

PUBLISHED = (
    Published("hr_resnet101", "HR ResNet101", "pyramid", .926, .911, .806, _HR),
    Published("hr_vgg16", "HR VGG16", "pyramid", .862, .844, .749, "arXiv 1708.03979, table 1"),
    Published("ssh_pyramid", "SSH VGG16", "pyramid", .931, .921, .845, _SSH),
    Published("ssh", "SSH VGG16", "1200 px", .919, .907, .814, _SSH),
    Published("ssh_tf_vgg16_group", "SSH-TF VGG16, group", "", .917, .903, .799, _SSH_TF),
    Published("ssh_tf_resnet50_group", "SSH-TF ResNet50, group", "", .918, .906, .791, _SSH_TF),
    Published("ssh_tf_mobilenet_v1_group", "SSH-TF MobileNetV1, group", "", .910, .886, .754, _SSH_TF),
    Published("ssh_tf_vgg16_random", "SSH-TF VGG16, random", "", .908, .885, .746, _SSH_TF),
    Published("ssh_tf_resnet50_random", "SSH-TF ResNet50, random", "", .902, .880, .689, _SSH_TF),
    Published("ssh_tf_mobilenet_v1_random", "SSH-TF MobileNetV1, random", "", .897, .874, .720, _SSH_TF),
    Published("ssh_tf_mobilenet_v2_random", "SSH-TF MobileNetV2, random", "", .865, .820, .576, _SSH_TF),
    Published("mtcnn", "MTCNN", "", .851, .820, .607, "arXiv 1604.02878"),
    Published("ssd300_mobilenet_v2_075", "SSD MobileNetV2-0.75", "300 px", .790, .708, .373,
              "README of the OpenVINO training extensions"),
    Published("retinaface_mnet025", "RetinaFace mnet0.25", "original size", .907, .882, .738,
              "README of Pytorch_Retinaface"),
    Published("scrfd_0.5", "SCRFD-0.5GF", "VGA", .906, .881, .685, _SCRFD),
    Published("scrfd_2.5", "SCRFD-2.5GF", "VGA", .938, .922, .779, _SCRFD),
    Published("scrfd_34", "SCRFD-34GF", "VGA", .961, .949, .853, _SCRFD),
    Published("yunet_n", "YuNet-n", "original size", .892, .883, .811, "README of libfacedetection.train"),
)
# One or two of each kind of detector: what fits under a plot.
USUAL = ("scrfd_34", "ssh_pyramid", "ssh", "hr_resnet101", "yunet_n", "ssh_tf_mobilenet_v1_group",
         "retinaface_mnet025", "scrfd_0.5", "mtcnn", "ssd300_mobilenet_v2_075")


def choose_published(text: str = "usual") -> tuple[Published, ...]:
    """The rows that a text names.

    Args:
        text: usual, all, none, or keys separated by commas.

    Raises:
        InputError: a key is unknown.
    """
    every = {row.key: row for row in PUBLISHED}
    words = {"usual": USUAL, "all": tuple(every), "none": ()}
    keys = words.get(text, text.split(","))
    for key in keys:
        if key not in every:
            raise InputError(f"published results: no {key!r}; expected usual, all, none or some of "
                             f"{','.join(every)}")
    return tuple(every[key] for key in keys)
