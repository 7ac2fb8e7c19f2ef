"""Sets of templates: read from the .mat of the Tiny Faces authors or a config, compared, written as YAML and drawn."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..config import load_config
from ..datasets.matlab import read_mat
from ..errors import InputError
from ..files import whole_file
from .cluster import best_overlaps

if TYPE_CHECKING:
    from ..datasets.roidb import Record

COVERED = (0.5, 0.7)  # IoU from which a face counts as covered: that of evaluation, and that of HR's positives
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7")


def read_templates(path: str | os.PathLike) -> np.ndarray:
    """Read a set of templates: `clusters` of RefBox_N25*.mat, or ANCHORS of a config (.yml).

    A row of `clusters` is x1 y1 x2 y2 about 0, and perhaps the scale of the template. The scale is not used: widths
    and heights are those on the image that the net receives.

    Returns:
        (T, 2) float64 widths and heights, px.

    Raises:
        InputError: the file holds no templates.
    """
    path = Path(path)
    if path.suffix.lower() in (".yml", ".yaml"):
        anchors = load_config(path).ANCHORS
        sizes = np.asarray(list(zip(anchors.WIDTHS, anchors.HEIGHTS, strict=False)), np.float64).reshape(-1, 2)
    else:
        sizes = _mat_sizes(path).reshape(-1, 2)
    if not len(sizes) or not ((sizes > 0) & np.isfinite(sizes)).all():
        raise InputError(f"{path}: found {len(sizes)} templates, expected at least one, all of width and height > 0")
    return sizes


def _mat_sizes(path: Path) -> np.ndarray:
    mat = read_mat(path, ("clusters",))
    try:
        clusters = np.asarray(mat["clusters"], np.float64)
        return clusters[:, 2:4] - clusters[:, :2]
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise InputError(f"{path}: expected a .mat with `clusters` as in RefBox_N25.mat, or a .yml "
                         f"({type(error).__name__}: {error})") from None


def face_sizes(records: Iterable[Record], scales: Sequence[float] = (1.0,), low: float = 0.0,
               high: float = np.inf) -> np.ndarray:
    """Sizes of the faces that are not ignored, at each of the scales.

    Args:
        records: those of a roidb.
        scales: factors of the images.
        low: px at that scale; faces whose square root of the area is smaller are left out.
        high: px at that scale; larger faces are left out.

    Returns:
        (N, 2) float64 widths and heights, px.
    """
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(record.boxes[~record.ignore] for record in records)])
    sizes = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)
    sizes = np.concatenate([sizes * scale for scale in scales])
    root = np.sqrt(sizes.prod(axis=1))
    return sizes[(root >= low) & (root <= high)]


def coverage(sizes: np.ndarray, templates: np.ndarray) -> tuple[float, ...]:
    """Mean IoU of each face with its best template, then the fraction of faces at or above each IoU of COVERED."""
    best = best_overlaps(sizes, templates)
    return float(best.mean()), *(float((best >= iou).mean()) for iou in COVERED)


def yaml_lines(templates: np.ndarray, width: int = 118) -> list[str]:
    """The ANCHORS of a config with these templates, as lines of YAML."""
    lines = []
    for key, values in zip(("WIDTHS", "HEIGHTS"), np.asarray(templates).T, strict=True):
        line = f"{'ANCHORS: {' if key == 'WIDTHS' else '          '}{key}: ["
        indent, last = " " * len(line), len(values) - 1
        for number, value in enumerate(values):
            word = f"{value:.4g}" + (", " if number < last else "]," if key == "WIDTHS" else "]}")
            if len(line + word.rstrip()) > width:
                lines.append(line.rstrip())
                line = indent
            line += word
        lines.append(line)
    return lines


def plot_templates(path: str | os.PathLike, sizes: np.ndarray, sets: Mapping[str, np.ndarray]) -> None:
    """Write a figure: the sizes of the faces with the templates among them, and the templates about one centre.

    Args:
        path: .png or .pdf.
        sizes: (N, 2) of the faces.
        sets: name -> (T, 2) templates, at most len(COLOURS).

    Raises:
        OSError: the figure cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    figure = Figure(figsize=(11, 5), layout="constrained")
    FigureCanvasAgg(figure)
    among, drawn = figure.subplots(1, 2)
    among.hexbin(*np.asarray(sizes).T, xscale="log", yscale="log", bins="log", gridsize=60, cmap="Greys",
                 linewidths=0.2)
    most = 0.0
    for number, (name, templates) in enumerate(sets.items()):
        templates = np.asarray(templates)
        colour, side = COLOURS[number], 7 - number
        among.plot(*templates.T, "os^d"[number], color=colour, markersize=side, markerfacecolor="none",
                   markeredgewidth=1.4, label=Path(name).name)
        for width, height in templates:
            drawn.add_patch(Rectangle((-width / 2, -height / 2), width, height, fill=False, edgecolor=colour,
                                      linewidth=0.9, linestyle=("-", "--", ":", "-.")[number]))
        most = max(most, templates.max() / 2)
    among.set(xlabel="width, px", ylabel="height, px", title=f"{len(sizes):,} faces, darker where there are more")
    among.legend()
    drawn.set(xlim=(-1.05 * most, 1.05 * most), ylim=(-1.05 * most, 1.05 * most), aspect="equal", xlabel="px",
              title="templates about one centre")
    with whole_file(path, suffix=Path(path).suffix) as temporary:
        figure.savefig(temporary, dpi=110)
