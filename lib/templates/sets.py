"""Sets of templates: read from the Tiny Faces authors' .mat or a config, how they cover faces, as YAML, as a figure."""

from pathlib import Path

import numpy as np

from ..config import load_config
from ..errors import InputError
from ..files import whole_file
from .cluster import best_overlaps

COVERED = (0.5, 0.7)  # overlaps from which a face counts as covered: that of evaluation, and that of HR's positives
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7")


def read_templates(path):
    """(T, 2) float64 widths and heights, px: of `clusters` in RefBox_N25*.mat, or of ANCHORS in a config (.yml).

    A row of `clusters` is x1 y1 x2 y2 about 0, and perhaps the scale that the template belongs to, which is not used:
    the widths are those on the image as the net sees it. Raises InputError where the file holds no templates.
    """
    path = Path(path)
    if path.suffix.lower() in (".yml", ".yaml"):
        anchors = load_config(path).ANCHORS
        sizes = list(zip(anchors.WIDTHS, anchors.HEIGHTS, strict=False))
    else:
        sizes = _mat_sizes(path)
    sizes = np.asarray(sizes, np.float64).reshape(-1, 2)
    if not len(sizes) or not (sizes > 0).all():
        raise InputError(f"{path}: found {len(sizes)} templates, expected at least one, all of width and height > 0")
    return sizes


def _mat_sizes(path):
    from scipy.io import loadmat  # slow to import, and only this file needs it

    try:
        clusters = np.asarray(loadmat(str(path))["clusters"], np.float64)
        return clusters[:, 2:4] - clusters[:, :2]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise InputError(f"{path}: expected a .mat with `clusters` as RefBox_N25.mat has it, or a .yml "
                         f"({type(error).__name__}: {error})") from None


def face_sizes(records, scales=(1.0,), low=0.0, high=np.inf):
    """(N, 2) float64 widths and heights of the faces that are not ignored, at each of the scales, px.

    Those whose square root of the area is under `low` or over `high` px at that scale are left out.
    """
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(record.boxes[~record.ignore] for record in records)])
    sizes = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)
    sizes = np.concatenate([sizes * scale for scale in scales])
    root = np.sqrt(sizes.prod(axis=1))
    return sizes[(root >= low) & (root <= high)]


def coverage(sizes, templates):
    """(mean IoU of each face with its best template, then the parts of the faces at or above each of COVERED)."""
    best = best_overlaps(sizes, templates)
    return float(best.mean()), *(float((best >= overlap).mean()) for overlap in COVERED)


def yaml_lines(templates, width=118):
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


def plot_templates(path, sizes, sets):
    """Write a figure: the faces' sizes with the templates among them, and the templates drawn about one centre.

    path: .png or .pdf. sizes: (N, 2) of the faces. sets: dict name -> (T, 2), at most len(COLOURS).
    Raises OSError when it cannot be written.
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
    with whole_file(path, suffix=Path(path).suffix) as beside:
        figure.savefig(beside, dpi=110)
