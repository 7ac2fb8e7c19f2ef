"""The galleries of the report: crops with their boxes over them as SVG, which stays sharp and can be hidden."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from ..error_kinds import KINDS
from .crops import SIZE
from .method import Method
from .page import Html, join, name_of, tag

TITLES = {"missed": "Missed faces", "localisation": "Poor localisation", "duplicate": "Duplicates",
          "background": "Background detected as a face"}
ORDERS = {"missed": "First faces that no prediction finds at any score, then faces whose score is below the working "
                    "point (1,000 false positives). In both groups the easiest come first: of easy, with few "
                    "difficulties, tall.",
          "localisation": "The first of each face, by falling score.",
          "duplicate": "The first of each face, by falling score.",
          "background": "By falling score, at most three per image."}
FAR = 1e4
"""px of a crop beyond which a box is cut: browsers draw larger numbers wrong."""


def gallery_section(methods: Sequence[Method], setting: str, with_images: bool) -> list[Html]:
    """The content of the section; the arguments are those of sections.page."""
    if not with_images:
        return [tag("p", "Left out: the report was made without --images, the folder of the images.")]
    content = [tag("p", "A crop is 2.5 times as wide as what it shows, and 40 px of the image or more. Boxes in it:"),
               _legend(),
               tag("label", tag("input", type="checkbox", id="hide-boxes"), " Hide the boxes", class_="toggle")]
    lost = sorted({exhibit.image for method in methods for exhibits in method.galleries.values() for exhibit in exhibits
                   if exhibit.jpeg is None})
    absent = max(method.absent for method in methods)
    if absent:
        content.append(tag("p", f"Of the images, {absent:,} are not in the folder that --images named: the examples "
                           "are those of the others."))
    if lost:
        content.append(tag("p", f"{len(lost):,} images cannot be read, such as ", name_of(lost[0]),
                         ": their boxes are on an empty background."))
    for method in methods:
        if len(methods) > 1:
            content.append(tag("h3", name_of(method.name)))
        content += [_gallery(method, kind, exhibits, "h4" if len(methods) > 1 else "h3", setting)
                    for kind, exhibits in method.galleries.items()]
    return content


def _legend():
    words = {"truth": "face that counts", "ignored": "box that does not count", "wrong": "prediction that is wrong",
             "other": "prediction that found the face"}
    return tag("ul", [tag("li", _swatch(kind), text) for kind, text in words.items()], class_="legend row")


def _swatch(kind):
    shape = {"x": 3, "y": 3, "width": 26, "height": 14}
    return tag("svg", tag("rect", class_="ground", width=32, height=20), tag("rect", class_="halo", **shape),
               tag("rect", class_=kind, **shape), viewBox="0 0 32 20", width=32, height=20, class_="boxes",
               aria_hidden="true")


def _gallery(method, kind, exhibits, heading, setting):
    errors = method.errors[kind]
    total = max(errors["count"], errors["working_count"]) if kind == "missed" else errors["count"]
    head = tag(heading, TITLES[kind], " ", tag("small", f"{len(exhibits):,} of {total:,}"))
    if not exhibits:
        return join(head, tag("p", f"None in {setting}." if not total else "None shown.", class_="muted"))
    words = KINDS[kind].removeprefix("wrong: ")
    what = "" if kind == "missed" else f"{words[0].upper()}{words[1:]}. "
    return join(head, tag("p", what + ORDERS[kind], class_="muted"),
                tag("div", [_figure(exhibit) for exhibit in exhibits], class_="gallery"))


def _figure(exhibit):
    if exhibit.jpeg is None:
        picture = tag("span", exhibit.problem, class_="absent")
    else:
        data = base64.b64encode(exhibit.jpeg).decode()
        picture = tag("img", src=f"data:image/jpeg;base64,{data}", alt=exhibit.alt, width=SIZE, height=SIZE)
    hidden = None if exhibit.jpeg is None else "true"  # the picture has the text itself
    overlay = tag("svg", [_box(exhibit.window, *box) for box in exhibit.boxes], viewBox=f"0 0 {SIZE} {SIZE}",
                  class_="overlay boxes", aria_hidden=hidden, role=None if hidden else "img",
                  aria_label=None if hidden else exhibit.alt)
    event, _, name = exhibit.image.rpartition("/")
    caption = tag("figcaption", tag("strong", exhibit.lines[0]), [tag("span", line) for line in exhibit.lines[1:]],
                  tag("span", tag("span", name_of(event + "/"), class_="event") if event else None, name_of(name),
                      class_="file"))
    return tag("figure", tag("div", picture, overlay, class_="crop"), caption, title=exhibit.alt)


def _box(window, kind, box, text):
    """One box of an overlay, with a dark halo, so that it is visible on any image."""
    x, y, side = window
    low_x, low_y = ((box[0] - x) * SIZE / side, (box[1] - y) * SIZE / side)
    high_x, high_y = low_x + box[2] * SIZE / side, low_y + box[3] * SIZE / side
    if high_x < 0 or high_y < 0 or low_x > SIZE or low_y > SIZE:
        return Html("")
    low_x, low_y, high_x, high_y = (max(-FAR, min(FAR, value)) for value in (low_x, low_y, high_x, high_y))
    shape = {"x": f"{low_x:.1f}", "y": f"{low_y:.1f}", "width": f"{max(high_x - low_x, 0):.1f}",
             "height": f"{max(high_y - low_y, 0):.1f}"}
    label = None
    if text:
        above, below = low_y - 4 if low_y > 14 else None, high_y + 12 if high_y < SIZE - 14 else None
        # A correct prediction has its score below its box, so that two scores do not cover each other.
        at = next((y for y in ((below, above) if kind == "other" else (above, below)) if y is not None), 12)
        label = tag("text", text, x=f"{max(2, min(low_x, SIZE - 7 * len(text))):.1f}", y=f"{at:.1f}", class_=kind)
    return join(tag("rect", class_="halo", **shape), tag("rect", class_=kind, **shape), label)
