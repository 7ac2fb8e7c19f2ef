"""A report to look at: one HTML file that shows where a detector is weak, or how several differ.

The figures are those of tools/evaluate.py wider: this module puts them in order, sections.py words them.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from ....errors import InputError
from ....files import write_whole
from ....progress import Progress
from ...wider import match_wider, result_of
from ..analysis import analyse, curves, operating_points
from ..error_kinds import error_kinds
from . import sections
from .crops import add_crops, image_paths, images_of
from .exhibits import galleries
from .page import document
from .svg import colour_style

# About as many crops fit into 2.5 MB; with several methods each gets its share.
ALL_CROPS = 240
MOST, LEAST = 24, 6  # crops of one kind of error of one method
EXAMPLES = 5000  # errors of one kind that the crops are chosen from


@dataclass
class Method:
    """What the report shows of one method. name; settings: what made the predictions, a dict, or None; result: of
    wider.result_of; curves: setting -> Curve; points: of analysis.operating_points; breakdown: of analyse; errors: of
    error_kinds; galleries: kind -> list of Exhibit; absent: how many of its images the folder of images lacks;
    matches: of match_wider; notes: list of sentences."""

    name: str
    settings: dict | None
    result: dict
    curves: dict
    points: list
    breakdown: dict
    errors: dict
    matches: object
    galleries: dict = field(default_factory=dict)
    absent: int = 0
    notes: list = field(default_factory=list)


def examine(name, predictions, truth, subset=False, setting="hard", settings=None, notes=()):
    """The Method of predictions (read_predictions) and a ground truth (read_ground_truth), without galleries.

    setting: whose faces the breakdown, the operating points, the errors and the galleries are about. notes: sentences
    to show among the warnings. Raises InputError as match_wider does.
    """
    matches = match_wider(predictions, truth, subset)
    result = result_of(matches, predictions)
    return Method(name, settings, result, curves(matches), operating_points(matches, setting),
                  analyse(matches, setting), error_kinds(matches, setting, examples=EXAMPLES), matches,
                  notes=[*notes, *result["warnings"]])


def read_settings(folder):
    """What tools/test.py noted of how the predictions in a folder were made: (dict or None, list of notes)."""
    path = Path(folder, "settings.json")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(settings, dict):
            raise ValueError
    except FileNotFoundError:
        return None, ["the folder has no settings.json: at which scales, score threshold and NMS these predictions "
                      "were made is not known, and without that figures do not compare"]
    except (OSError, ValueError, RecursionError):
        return None, ["its settings.json cannot be read: how these predictions were made is not known"]
    return settings, []


def write_report(methods, path, images=None, subset=False, setting="hard", most=None):
    """Write the page for one or more Methods, whole or not at all.

    images: folder of the images, whose event/name.jpg the crops are cut from; None: without galleries. subset: as the
    methods were examined. most: crops of one kind of error of a method; None: 24, fewer for many methods.
    Returns a dict: bytes, crops (shown), lost (crops whose image cannot be read). Raises InputError when the folder
    holds none of the images, OSError when the file cannot be written.
    """
    if not methods:
        raise InputError("a report needs at least one method")
    exhibits = []
    if images is not None:
        if most is None:
            most = max(LEAST, min(MOST, ALL_CROPS // (len(methods) * len(methods[0].errors))))
        paths, exhibits = image_paths(images, methods[0].matches), []
        for method in methods:
            others = [(other.name, other.matches) for other in methods if other is not method and _alike(method, other)]
            method.galleries = galleries(method.matches, method.errors, setting, most, others, paths)
            method.absent = sum(f"{image.event}/{image.name}" not in paths for image in method.matches.images)
            exhibits += [exhibit for kind in method.galleries.values() for exhibit in kind]
        with Progress(images_of(exhibits), "images") as progress:
            add_crops(exhibits, paths, progress.advance)
    title = f"Face detection report: {', '.join(method.name for method in methods)}"
    body = sections.page(methods, setting, subset, images is not None)
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    data = document(title, style + colour_style(), body)
    write_whole(path, data)
    return {"bytes": len(data), "crops": sum(exhibit.jpeg is not None for exhibit in exhibits),
            "lost": sum(exhibit.jpeg is None for exhibit in exhibits)}


def _alike(method, other):
    """Whether two methods looked at the same images, so that the faces have the same numbers."""
    one, two = ([(image.event, image.name) for image in m.matches.images] for m in (method, other))
    return one == two
