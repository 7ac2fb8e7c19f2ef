"""The breakdown of a set in the report: AP and recall by height, label and event, as bars and as figures."""

from __future__ import annotations

from collections.abc import Sequence

from ..analysis import ATTRIBUTE_LABELS, LEFT_OUT, WORKING_POINT
from .method import Method
from .page import Html, details, name_of, table, tag
from .svg import bar_chart, colour_class

EVENTS_SHOWN, COLUMNS = 24, 3
TITLES = {"heights": "Face height"} | {name: name.capitalize() for name in ATTRIBUTE_LABELS}


def breakdown_section(methods: Sequence[Method], setting: str) -> list[Html | None]:
    """A chart for heights and one for each attribute that the ground truth has."""
    labels = {key: sum(row["faces"] > 0 for row in methods[0].breakdown[key]) for key in TITLES}
    keys = [key for key in TITLES if labels[key] > 1 or key == "heights" and labels[key]]
    same = [TITLES[key].lower() for key in ATTRIBUTE_LABELS if labels[key] == 1]
    absent = [TITLES[key].lower() for key in ATTRIBUTE_LABELS if not methods[0].breakdown[key]]
    content = [tag("p", f"Bars: AP with only these faces of {setting} counted. For heights, false positives are those "
                   "of that height; for labels, AP is normalised as if each had as many faces as the whole setting, so "
                   f"that rare ones compare. Line: recall at any score. *: {LEFT_OUT}, never counted in AP."),
               key_of(methods)]
    if same:
        content.append(tag("p", f"Not drawn, because all these faces have the same label: {', '.join(same)}.",
                         class_="muted"))
    if absent:
        content.append(tag("p", f"The ground truth has no labels of {', '.join(absent)}.", class_="muted"))
    content.append(tag("div", [tag("figure", tag("h3", TITLES[key]), *_breakdown(methods, key)) for key in keys],
                       class_="charts"))
    return content


def event_section(methods: Sequence[Method], setting: str) -> list[Html | None] | None:
    """Charts of the events, the weakest first; None without events."""
    order = [row["label"] for row in sorted((row for row in methods[0].breakdown["events"] if row["faces"]),
                                            key=lambda row: row["ap"])]
    if not order:
        return None
    content = [tag("p", f"AP of {setting} within the images of an event, from the weakest"
                 + (f" of {methods[0].name}" if len(methods) > 1 else "") + "; line: recall at any score."),
             key_of(methods), _event_charts(methods, order[:EVENTS_SHOWN])]
    if len(order) > EVENTS_SHOWN:
        content.append(details(f"The other {len(order) - EVENTS_SHOWN} events",
                             _event_charts(methods, order[EVENTS_SHOWN:])))
    return [*content, details("Figures", _figures(methods, "events", order))]


def _event_charts(methods, order):
    length = max(4, -(-len(order) // COLUMNS))
    chunks = [order[i:i + length] for i in range(0, len(order), length)]
    return tag("div", [tag("figure", _chart(methods, "events", chunk)) for chunk in chunks], class_="charts")


def key_of(methods: Sequence[Method]) -> Html | None:
    """A legend of the methods' colours; None for a single method."""
    if len(methods) > 1:
        return tag("ul", [tag("li", _bar_swatch(index), name_of(method.name)) for index, method in enumerate(methods)],
                   class_="legend row")
    return None


def _bar_swatch(index):
    return tag("i", class_=f"box {colour_class(index)}", aria_hidden="true")


def _breakdown(methods, key):
    order = [row["label"] for row in methods[0].breakdown[key] if row["faces"]]
    return _chart(methods, key, order), details("Figures", _figures(methods, key, order))


def _figure_of(row):
    return row.get("normalised_ap", row["ap"])


def _chart(methods, key, order):
    tables = [{row["label"]: row for row in method.breakdown[key]} for method in methods]
    none = {"faces": 0, "ap": None, "recall": None}
    bars, words = [], []
    for label in order:
        rows = [table.get(label, none) for table in tables]
        star = " *" if rows[0].get("population") == LEFT_OUT else ""
        bars.append((label + star, f"{rows[0]['faces']:,} faces", [(_figure_of(row), row["recall"]) for row in rows]))
        words.append(f"{label} " + ", ".join("–" if (v := _figure_of(row)) is None else f"{v:.3f}" for row in rows))
    return bar_chart(bars, f"AP by {TITLES.get(key, key).lower()}: {'; '.join(words)}")


def _figures(methods, key, order):
    """The same as a table, with all figures."""
    normalised = "normalised_ap" in methods[0].breakdown[key][0]
    header = ["Part", *(["Method"] if len(methods) > 1 else []), "Faces", "AP", *(["Normalised AP"] * normalised),
              "Recall", f"Recall at {WORKING_POINT:,} false positives"]
    rows = []
    for label in order:
        for method in methods:
            row = next((row for row in method.breakdown[key] if row["label"] == label), None)
            if row:
                rows.append([name_of(label), *([name_of(method.name)] if len(methods) > 1 else []), row["faces"],
                             row["ap"], *([row.get("normalised_ap")] * normalised), row["recall"],
                             row["working_recall"]])
    return table(f"{TITLES.get(key, key.capitalize())}", header, rows)
