"""The official ground truth of WIDER FACE: the faces, those that count in each setting, and their attributes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import numpy as np

from ...datasets.matlab import read_mat
from ...errors import InputError

SETTINGS = ("easy", "medium", "hard")
ATTRIBUTES = ("blur", "expression", "illumination", "invalid", "occlusion", "pose")


@dataclass
class GroundTruth:
    """One image.

    Attributes:
        event: folder of the image.
        name: file name without extension.
        boxes: (N, 4) float64, x y w h in px.
        counted: setting -> (N,) bool, the faces that count.
        attributes: those of ATTRIBUTES that the ground truth has, each (N,) int as the annotation numbers them (blur
            0 clear, 1 normal, 2 heavy; occlusion 0 none, 1 partial, 2 heavy; the others 0 or 1).
        integer: the file holds the boxes as integers, as WIDER FACE's does: then MATLAB computes with integers.
    """

    event: str
    name: str
    boxes: np.ndarray
    counted: dict[str, np.ndarray]
    attributes: dict[str, np.ndarray] = field(default_factory=dict)
    integer: bool = True


def read_ground_truth(folder: str | os.PathLike) -> list[GroundTruth]:
    """Read wider_face_val.mat and wider_{easy,medium,hard}_val.mat.

    Args:
        folder: where the four files are.

    Returns:
        The images, in the order of wider_face_val.mat.

    Raises:
        InputError: a file is missing or has another structure.
    """
    names = {attribute: f"{attribute}_label_list" for attribute in ATTRIBUTES}
    faces = _load(folder, "wider_face_val.mat", ("event_list", "file_list", "face_bbx_list"), names.values())
    names = {attribute: name for attribute, name in names.items() if name in faces}
    lists = {s: _load(folder, f"wider_{s}_val.mat", ("gt_list",))["gt_list"] for s in SETTINGS}
    images = []
    try:
        for e, event in enumerate(faces["event_list"][:, 0]):
            for i, file in enumerate(faces["file_list"][e, 0][:, 0]):
                stored = np.asarray(faces["face_bbx_list"][e, 0][i, 0])
                boxes = stored.astype(np.float64).reshape(-1, 4)
                counted = {}
                for setting, cells in lists.items():
                    counted[setting] = np.zeros(len(boxes), bool)
                    numbers = np.asarray(cells[e, 0][i, 0], np.float64).ravel()
                    if not ((numbers >= 1) & (numbers <= len(boxes)) & (numbers % 1 == 0)).all():
                        raise ValueError(f"gt_list of {setting}: image {i + 1} of event {e + 1} has a number that is "
                                         f"not one of 1 to {len(boxes)}")
                    counted[setting][numbers.astype(np.intp) - 1] = True  # MATLAB counts from 1
                attributes = {attribute: np.asarray(faces[name][e, 0][i, 0]).astype(int).reshape(len(boxes))
                              for attribute, name in names.items()}
                images.append(GroundTruth(str(event[0]), str(file[0]), boxes, counted, attributes,
                                          np.issubdtype(stored.dtype, np.integer)))
    except (IndexError, ValueError, TypeError) as error:
        raise InputError(f"{folder}: the .mat files do not fit each other ({type(error).__name__}: {error})") from None
    return images


def _load(folder, name, variables, optional=()):
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file; expected the official ground truth, wider_face_val.mat and "
                         "wider_{easy,medium,hard}_val.mat, in one folder")
    mat = read_mat(path, (*variables, *optional))
    absent = [variable for variable in variables if variable not in mat]
    if absent:
        raise InputError(f"{path}: has no variable {absent[0]}")
    return mat
