"""`manyfaces evaluate wider`: the official easy, medium and hard, with operating points, breakdowns and plots."""

import contextlib
import time
from argparse import ArgumentParser, Namespace

from ...evaluation.files.ground_truth import SETTINGS, read_ground_truth
from ...evaluation.report.analysis import analyse, curves, operating_points
from ...evaluation.report.error_kinds import error_kinds
from ...evaluation.report.plots import pr_plot
from ...evaluation.report.published import OFFICIAL, choose_published
from ...evaluation.tables import print_table
from ...evaluation.wider import match_wider, result_of
from .shared import add_folder_arguments, method_names, print_warnings, read_folder, write_json
from .tables import print_breakdown, print_operating_points

COUNTS = ("images", "predictions", "unknown")
ARITHMETICS = ("ports", "official")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of this protocol."""
    parser.add_argument("--gt", required=True, metavar="DIR",
                        help="folder of wider_face_val.mat and wider_{easy,medium,hard}_val.mat")
    add_folder_arguments(parser)
    parser.add_argument("--names", metavar="A,B", help="names of the methods, in the order of --pred; by default "
                        "those of their folders (output/X/pred is called X)")
    parser.add_argument("--breakdown", action="store_true", help="print recall and AP by height, attribute and event, "
                        "and the kinds of errors; --json holds them in any case")
    parser.add_argument("--plot", metavar="FILE", help="draw the precision-recall curves, as FILE.png and FILE.pdf")
    parser.add_argument("--published", metavar="usual|all|none|KEY,KEY",
                        help="which results of other authors the plot shows (default: usual; none where only some of "
                        "the official faces are evaluated, because then the figures do not compare)")


def evaluate(options: Namespace) -> None:
    """Evaluate, print the tables and write --json."""
    names = method_names(options.pred, options.names)
    published = choose_published(options.published or "usual")
    truth, results, methods = read_ground_truth(options.gt), [], []
    for name, folder in zip(names, options.pred, strict=True):
        start = time.perf_counter()
        predictions, skipped = read_folder(folder, options.lenient)
        matches = match_wider(predictions, truth, subset=options.subset)
        result = result_of(matches, predictions)
        result |= {"pred": folder, "name": name, "protocol": "wider", "subset": options.subset,
                   "seconds": round(time.perf_counter() - start, 3)}
        result["operating_points"] = {setting: operating_points(matches, setting) for setting in SETTINGS}
        if options.breakdown or options.json:
            result |= {"breakdown": analyse(matches), "errors": error_kinds(matches)}
        if options.plot:
            methods.append((name, curves(matches)))
        results.append(result | ({"skipped": skipped} if skipped else {}))
    with contextlib.ExitStack() as last:  # also where the reader of the tables ends early (`| head`)
        if options.plot:
            whole = options.published or all(result["faces"] == OFFICIAL for result in results)
            last.callback(_plot, methods, options.plot, published if whole else ())
        last.callback(write_json, options.json, results)
        print_table(["pred", "arithmetic", *SETTINGS, *COUNTS, *(f"exact_{setting}" for setting in SETTINGS)],
                    [row for result in results for row in _rows(result)])
        print("ports: in floats, as in the Python ports that most repositories quote. official: in the integers of the "
              "official MATLAB tools.")
        print_warnings(results)
        print_operating_points(results)
        if options.breakdown:
            print_breakdown(results)


def _plot(methods, path, published):
    print(f"\nwrote {' and '.join(pr_plot(methods, path, published=published))}")


def _rows(result):
    """A row per arithmetic."""
    for arithmetic in ARITHMETICS:
        exact = result["exact"].values() if arithmetic == "ports" else ["-"] * len(SETTINGS)
        yield [result["name"], arithmetic, *result[arithmetic].values(), *(result[c] for c in COUNTS), *exact]
