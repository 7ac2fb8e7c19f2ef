#!/usr/bin/env python3
"""Time the compiled parts beside their NumPy twins and peers of the same job: milliseconds, and ratios of one run."""

import sys

from manyfaces.benchmark import SECTIONS, as_csv, run_section
from manyfaces.command_line import argument_parser, run
from manyfaces.files import write_whole

EXAMPLE = """
tools/benchmark.py                        # every section
tools/benchmark.py nms targets --csv output/benchmark.csv
"""


def main(arguments=None):
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("sections", nargs="*", metavar="SECTION",
                        help="; ".join(f"{name}: {what}" for name, what in SECTIONS.items()) + " (default: all)")
    parser.add_argument("--csv", metavar="FILE", help="also write the figures there: table, row, column, value")
    options = parser.parse_args(arguments)
    tables = []
    for name in options.sections or SECTIONS:
        for table in run_section(name):
            print(table.text(), end="\n\n", flush=True)
            tables.append(table)
    if options.csv:
        write_whole(options.csv, as_csv(tables).encode())
        print(f"wrote {options.csv}")


if __name__ == "__main__":
    sys.exit(run(main))
