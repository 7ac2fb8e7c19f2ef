"""What tools/evaluate.py wider prints beside AP: operating points, and the parts of the set for --breakdown."""

from ...evaluation.report.analysis import BREAKDOWNS, LEFT_OUT, WORKING_POINT
from ...evaluation.report.error_kinds import KINDS
from ...evaluation.tables import print_table

FILES = 3


def print_operating_points(results, setting="hard"):
    """results: list of dicts with name and operating_points (setting -> list, see analysis.operating_points)."""
    header, rows = ["pred"], []
    for point in results[0]["operating_points"][setting]:
        header += [f"recall@{point['false_positives']:,}", f"score@{point['false_positives']:,}"]
    for result in results:
        # Not rounded: predictions just above a threshold that is rounded up would be lost.
        cells = [(point["recall"], "none" if point["score"] is None else repr(point["score"]))
                 for point in result["operating_points"][setting]]
        rows.append([result["name"], *(cell for pair in cells for cell in pair)])
    print(f"\n{setting}: recall, and the score threshold to keep, where so many false positives are let in")
    print_table(header, rows)


def print_breakdown(results, setting="hard"):
    """Tables of parts and of errors: all figures of one method, or AP of several side by side.

    results: list of dicts with name, breakdown (analysis.analyse) and errors (error_kinds.error_kinds). Parts without
    any face are left out.
    """
    names = [result["name"] for result in results]
    for part in BREAKDOWNS:
        tables = [[row for row in result["breakdown"][part] if row["faces"]] for result in results]
        if not tables[0]:
            continue
        figure = "normalised_ap" if "normalised_ap" in tables[0][0] else "ap"
        if len(results) > 1:
            header, figures = names, [[row[figure] for row in table] for table in tables]
            print(f"\n{part}: {'normalised AP' if figure == 'normalised_ap' else 'AP'}")
        else:
            keys = ["recall", "working_recall", "ap", *(["normalised_ap"] if figure != "ap" else [])]
            header = ["recall", f"recall@{WORKING_POINT:,}", "AP", *(["normalised AP"] if figure != "ap" else [])]
            figures = [[row[key] for row in tables[0]] for key in keys]
            print(f"\n{part}")
        labels = [row["label"] + (" *" if row["population"] == LEFT_OUT else "") for row in tables[0]]
        print_table(["", "faces", *header],
                    [list(row) for row in zip(labels, (row["faces"] for row in tables[0]), *figures, strict=True)])
    print(f"* left out of the settings; the other rows have the faces of {setting}. recall@{WORKING_POINT:,}: at the "
          f"score with {WORKING_POINT:,} false positives of {setting}.")
    print(f"\nerrors in {setting}: AP that mending one kind would bring, and how many there are")
    if len(results) > 1:
        print_table(["", *names], [[kind, *(result["errors"][kind]["cost"] for result in results)] for kind in KINDS])
        return
    errors = results[0]["errors"]
    at_point = f"at score@{WORKING_POINT:,}"
    print_table(["", "AP", "at any score", at_point],
                [[kind, found["cost"], found["count"], found["working_count"]] for kind, found in errors.items()])
    print()
    print_table([f"most {at_point}", "errors", "image"],
                [[kind, file["count"], file["image"]] for kind, found in errors.items()
                 for file in found["files"][:FILES]])
