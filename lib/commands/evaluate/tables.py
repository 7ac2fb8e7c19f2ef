"""What `manyfaces evaluate wider` prints besides AP: operating points, and the tables of --breakdown."""

from collections.abc import Sequence

from ...evaluation.report.analysis import BREAKDOWNS, LEFT_OUT, WORKING_POINT
from ...evaluation.report.error_kinds import KINDS
from ...evaluation.tables import print_table

FILES = 3


def print_operating_points(results: Sequence[dict], setting: str = "hard") -> None:
    """Print recall and score at some numbers of false positives.

    Args:
        results: dicts with name and operating_points (setting -> list, see analysis.operating_points).
        setting: easy, medium or hard.
    """
    header, rows = ["pred"], []
    for point in results[0]["operating_points"][setting]:
        header += [f"recall@{point['false_positives']:,}", f"score@{point['false_positives']:,}"]
    for result in results:
        # Not rounded: a threshold that is rounded up would lose predictions.
        cells = [(point["recall"], "none" if point["score"] is None else repr(point["score"]))
                 for point in result["operating_points"][setting]]
        rows.append([result["name"], *(cell for pair in cells for cell in pair)])
    print(f"\n{setting}: recall, and the score threshold to use, at this many false positives")
    print_table(header, rows)


def print_breakdown(results: Sequence[dict], setting: str = "hard") -> None:
    """Print tables by height, attribute and so on, and of errors: all figures of one method, or AP of several.

    Args:
        results: dicts with name, breakdown (analysis.analyse) and errors (error_kinds.error_kinds). Rows without any
            face are left out.
        setting: easy, medium or hard.
    """
    names = [result["name"] for result in results]
    for kind in BREAKDOWNS:
        tables = [[row for row in result["breakdown"][kind] if row["faces"]] for result in results]
        if not tables[0]:
            continue
        figure = "normalised_ap" if "normalised_ap" in tables[0][0] else "ap"
        if len(results) > 1:
            header, figures = names, [[row[figure] for row in table] for table in tables]
            print(f"\n{kind}: {'normalised AP' if figure == 'normalised_ap' else 'AP'}")
        else:
            keys = ["recall", "working_recall", "ap", *(["normalised_ap"] if figure != "ap" else [])]
            header = ["recall", f"recall@{WORKING_POINT:,}", "AP", *(["normalised AP"] if figure != "ap" else [])]
            figures = [[row[key] for row in tables[0]] for key in keys]
            print(f"\n{kind}")
        labels = [row["label"] + (" *" if row["population"] == LEFT_OUT else "") for row in tables[0]]
        print_table(["", "faces", *header],
                    [list(row) for row in zip(labels, (row["faces"] for row in tables[0]), *figures, strict=True)])
    print(f"* left out of the settings; the other rows have the faces of {setting}. recall@{WORKING_POINT:,}: at the "
          f"score with {WORKING_POINT:,} false positives of {setting}.")
    print(f"\nerrors in {setting}: AP that fixing one kind would add, and their number")
    if len(results) > 1:
        print_table(["", *names], [[kind, *(result["errors"][kind]["cost"] for result in results)] for kind in KINDS])
        return
    errors = results[0]["errors"]
    at_point = f"at score@{WORKING_POINT:,}"
    print_table(["", "AP", "at any score", at_point],
                [[kind, error["cost"], error["count"], error["working_count"]] for kind, error in errors.items()])
    print()
    print_table([f"most {at_point}", "errors", "image"],
                [[kind, file["count"], file["image"]] for kind, error in errors.items()
                 for file in error["files"][:FILES]])
