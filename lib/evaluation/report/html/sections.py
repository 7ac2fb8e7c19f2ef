"""The sections of the report, from what was evaluated to the tables and charts."""

from __future__ import annotations

from collections.abc import Sequence

from ...files.ground_truth import SETTINGS
from ..analysis import ATTRIBUTE_LABELS, LEFT_OUT, WORKING_POINT
from ..charts import precision_recall
from ..error_kinds import KINDS
from ..published import OFFICIAL, choose_published
from .breakdown import breakdown_section, event_section, key_of
from .gallery import gallery_section
from .method import Method
from .page import Exact, Html, details, join, name_of, table, tag
from .svg import bar_chart, line_chart, swatch

ENOUGH = 20
"""A subset of fewer faces is not called the weakest: that may be chance."""
KIND_TITLES = {"missed": "Missed faces", "localisation": "Poor localisation", "duplicate": "Duplicates",
               "background": "Background"}
# What `manyfaces test` writes into settings.json: a line of the page -> its keys, and the words for their values.
MADE = {"Net": {"name": "{}", "weights": "{}", "sha256": "SHA-256 {}"},
        "Images": {"scales": "scales {}", "flip": "mirrored too: {}", "max_side": "longest side {}"},
        "Faces": {"score": "score from {}", "nms": "NMS {}", "nms_method": "{}", "top": "{} before NMS",
                  "keep": "{} kept per image"}}


def page(methods: Sequence[Method], setting: str, subset: bool, with_images: bool) -> list[Html]:
    """The body of the page.

    Args:
        methods: of method.examine.
        setting: as in method.examine.
        subset: as in method.examine.
        with_images: whether there are galleries.
    """
    sections = [("ap", "Average precision", _ap_section(methods)), ("curves", "Curves", _curve_section(methods)),
                ("parts", "Where it is weak", breakdown_section(methods, setting)),
                ("events", "Events", event_section(methods, setting)),
                ("points", "Operating points", _point_section(methods, setting)),
                ("errors", "Kinds of errors", _error_section(methods, setting)),
                ("examples", "Examples", gallery_section(methods, setting, with_images))]
    links = [tag("a", title, href=f"#{key}") for key, title, content in sections if content]
    body = [tag("section", tag("h2", title), content, id=key) for key, title, content in sections if content]
    return [_header(methods, setting, subset, tag("nav", links, aria_label="Sections")),
            tag("main", _glance(methods, setting), _warnings(methods), body),
            tag("footer", "Made by ", tag("code", "manyfaces report"), ". The figures are those of ",
                tag("code", "manyfaces evaluate wider"), ".")]


def _header(methods, setting, subset, nav):
    first = methods[0].result
    faces = " / ".join(f"{first['faces'][s]:,}" for s in SETTINGS)
    boxes = len(methods[0].matches.boxes)
    what = [f"{first['images']:,} images with {boxes:,} boxes; {faces} faces count in easy / medium / hard."]
    if subset:
        what.append("Only images that have a prediction file are evaluated.")
    what.append("Rules of WIDER FACE’s official tools: a face is found by a prediction with IoU 0.5 or more; of "
                "several on one face the highest score finds it, the others are false positives; faces that do not "
                f"count are neither found nor missed. Breakdowns, errors and examples are those of {setting}.")
    rows = [["Predictions", *(f"{method.result['predictions']:,}" for method in methods)]]
    rows += [[line, *(_made(method.settings or {}, keys) for method in methods)] for line, keys in MADE.items()
             if any(key in (method.settings or {}) for key in keys for method in methods)]
    made = table("What was evaluated", ["", *(_legend_name(index, method) for index, method in enumerate(methods))],
                 rows)
    return tag("header", tag("h1", "Face detection report"), [tag("p", text) for text in what], made, nav)


def _made(settings, keys):
    """Those of the settings that have a value, on one line."""
    texts = [words.format(_setting(key, settings[key])) for key, words in keys.items()
             if settings.get(key) not in (None, "")]
    return ", ".join(texts) or "not known"


def _setting(key, value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key == "sha256":
        return str(value)[:12]
    if key == "max_side" and value == 0:
        return "not limited"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _legend_name(index, method):
    return join(swatch(index), " ", name_of(method.name))


def _glance(methods, setting):
    """The main figures, one list per method."""
    lists = []
    for index, method in enumerate(methods):
        facts: list[str] = [join(f"AP {setting} ", tag("strong", f"{method.result[setting]:.4f}"))]
        kind, worst = max(method.errors.items(), key=lambda item: item[1]["cost"])
        if worst["cost"] > 0:
            facts.append(f"Costliest kind of error: {KIND_TITLES[kind].lower()} (AP would be {worst['cost']:.3f} "
                         f"higher without it)")
        for title, keys, figure in (("height", ("heights",), "ap"), ("label", tuple(ATTRIBUTE_LABELS), "normalised_ap"),
                                    ("event", ("events",), "ap")):
            tables = [[row for row in method.breakdown[key] if row["faces"] and row["population"] != LEFT_OUT]
                      for key in keys]
            rows = [row for rows in tables if len(rows) > 1 for row in rows if row["faces"] >= ENOUGH]
            if rows:
                row = min(rows, key=lambda row: row[figure])
                facts.append(join(f"Weakest {title}: ", name_of(row["label"]),
                                  f", {figure.replace('_', ' ').replace('ap', 'AP')} {row[figure]:.3f} "
                                  f"({row['faces']:,} faces)"))
        lists.append(tag("div", tag("h3", _legend_name(index, method)), tag("ul", [tag("li", fact) for fact in facts]),
                         class_="card"))
    return tag("section", tag("h2", "At a glance"), tag("div", lists, class_="cards"), id="glance")


def _warnings(methods):
    notes = [join(name_of(method.name), ": ", note) if len(methods) > 1 else note
             for method in methods for note in method.notes]
    sizes = {len(method.matches.images) for method in methods}
    if len(sizes) > 1:
        notes.insert(0, "The methods were evaluated on different numbers of images "
                     f"({', '.join(f'{size:,}' for size in sorted(sizes))}): their figures do not compare.")
    if notes:
        return tag("section", tag("h2", "Warnings"), tag("ul", [tag("li", note) for note in notes]), id="warnings",
                   class_="warnings")


def _ap_section(methods):
    kinds = {"": "ports", ", official": "official", ", exact": "exact"}
    rows = [[_legend_name(index, method), *(ap for kind in kinds.values() for ap in method.result[kind].values())]
            for index, method in enumerate(methods)]
    header = ["Method", *(f"{setting.capitalize()}{kind}" for kind in kinds for setting in SETTINGS)]
    content = [table("Average precision by the official rules, in floats as in the Python ports; official: in the "
                     "integers of the MATLAB tools; exact: in floats, with every score as a threshold instead of 1,000 "
                     "bins", header, rows, best=range(1, 10))]
    if all(method.result["faces"] == OFFICIAL for method in methods):
        rows = [[row.model, row.test, *(getattr(row, s) for s in SETTINGS), row.source]
                for row in choose_published("all")]
        content.append(details("What the authors of other detectors report on this set",
                               table("Reported, not measured here", ["Detector", "Tested", "Easy", "Medium", "Hard",
                                                                     "Source"], rows)))
    return content


def _curve_section(methods):
    panels = []
    for setting in SETTINGS:
        chart = precision_recall(setting.capitalize(), [(method.name, method.curves[setting]) for method in methods])
        entries = [tag("li", _legend_name(index, method), tag("span", f"{line.value:.3f}"))
                   for index, (method, line) in enumerate(zip(methods, chart.lines, strict=True))]
        panels.append(tag("figure", tag("h3", chart.title), line_chart(chart),
                          tag("figcaption", tag("ul", entries, class_="legend"))))
    return tag("div", panels, class_="charts")


def _point_section(methods, setting):
    rows = []
    for index, method in enumerate(methods):
        for point in method.points:
            # The threshold is not rounded: predictions just above one that is rounded up would be lost.
            threshold = None if point["score"] is None else Exact(point["score"])
            rows.append([_legend_name(index, method), point["false_positives"], point["reached"], threshold,
                         point["recall"], point["precision"]])
    return table(f"At most this many false positives of {setting} are let in: keep scores from the threshold on",
                 ["Method", "Allowed", "Reached", "Score threshold", "Recall", "Precision"], rows)


def _error_section(methods, setting):
    most = max(max(kind["cost"] for kind in method.errors.values()) for method in methods) or 1.0
    bars = [(KIND_TITLES[kind], KINDS[kind].removeprefix("wrong: "),
             [(method.errors[kind]["cost"], None) for method in methods]) for kind in KINDS]
    words = "; ".join(f"{label} " + ", ".join(f"{value:.3f}" for value, _ in values) for label, _, values in bars)
    content = [tag("p", f"Bars: the AP of {setting} that fixing one kind alone would gain. The gains do not add up: "
                   "errors hide one another."), key_of(methods)]
    header = ["Kind", *(["Method"] if len(methods) > 1 else []), "AP gained", "At any score",
              f"At {WORKING_POINT:,} false positives"]
    rows = [[KIND_TITLES[kind], *([name_of(method.name)] if len(methods) > 1 else []),
             *(method.errors[kind][key] for key in ("cost", "count", "working_count"))]
            for kind in KINDS for method in methods]
    chart = tag("figure", bar_chart(bars, f"AP gained by fixing: {words}", most))
    figures = tag("div", table("How many there are", header, rows))
    # The table of several methods needs the whole width.
    content += [tag("div", chart, figures, class_="charts pair")] if len(methods) == 1 else [chart, figures]
    for method in methods:
        rows = [[KIND_TITLES[kind], name_of(file["image"]), file["count"]]
                for kind in KINDS for file in method.errors[kind]["files"]]
        title = "Images with most errors" + (f": {method.name}" if len(methods) > 1 else "")
        if rows:
            content.append(details(title, table(f"Errors at {WORKING_POINT:,} false positives",
                                                ["Kind", "Image", "Errors"], rows)))
    return content
