"""curves.png and run.html: how a training is going, on one page that a browser opens from the folder of the run.

The page is one file: its charts are SVG, its pictures are in it, and it loads nothing from elsewhere. Open it again to
see the newest state.
"""

from __future__ import annotations

import base64
import importlib.util
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...config import default_config, flat_items
from ...evaluation.report.charts import LineChart
from ...evaluation.report.html.crops import encode
from ...evaluation.report.html.page import base_style, details, document, name_of, table, tag
from ...evaluation.report.html.svg import colour_style, line_chart, swatch_of
from ...files import write_whole
from ...progress import clock, print_line
from .curves import Table, best_row, read_logs, run_charts, write_curves
from .logs import Log
from .tracker import KINDS, Run

SHARE = 0.02  # at most this fraction of the time is spent on drawing
STYLE = """
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: 1rem; }
.samples img { display: block; width: 100%; height: auto; border-radius: .25rem; }
.samples figcaption { font-size: .875rem; padding-top: .3rem; }
"""


class RunPage(Log):
    """Draws curves.png and run.html at each selection, with each checkpoint and at the end.

    While the training runs, they are drawn only as often as that costs little. It reads what CsvLogs has written, so
    it comes after that in the list of trackers.
    """

    def start(self, run: Run) -> None:
        self.run = run
        self.drawn, self.cost = -float("inf"), 0.0  # when it was drawn last, and the seconds that took
        self.samples: tuple[int, dict[str, bytes]] = 0, {}
        self.news = False
        self.with_png = importlib.util.find_spec("matplotlib") is not None
        if not self.with_png:
            print_line(f"{run.folder}: curves.png is not drawn, because matplotlib is missing (pip install "
                       f"'manyfaces[train]'); run.html shows the same curves")

    def scalars(self, kind: str, values: Mapping[str, float], step: int) -> None:
        self.news = True
        if kind == "select":
            self._draw("running")

    def images(self, kind: str, pictures: Mapping[str, np.ndarray], step: int) -> None:
        if kind == "select" and pictures:
            self.samples = step, {caption: encode(picture) for caption, picture in pictures.items()}

    def artifact(self, path: Path) -> None:
        if path.name == "checkpoint.npz" and self.news:
            self._draw("running")

    def end(self, status: str) -> None:
        if self.news or status == "failed":
            self._draw(status)

    def _draw(self, status):
        began = time.monotonic()
        if status == "running" and began - self.drawn < self.cost / SHARE:
            return
        self._try(lambda: self._write(status))
        self.drawn, self.cost = time.monotonic(), time.monotonic() - began

    def _write(self, status):
        logs, measure = read_logs(self.run.folder), str(self.run.config.get("TRAIN.SELECT_BY", "AP"))
        charts = run_charts(logs, measure)
        write_whole(self.run.folder / "run.html", page(self.run, logs, charts, measure, status, *self.samples))
        if self.with_png and charts:
            write_curves(self.run.folder, charts)


def page(run: Run, logs: Mapping[str, Table], charts: list[LineChart], measure: str, status: str, step: int = 0,
         samples: Mapping[str, bytes] | None = None) -> bytes:
    """The page.

    Args:
        run: the training.
        logs: of read_logs.
        charts: of run_charts.
        measure: TRAIN.SELECT_BY.
        status: `running`, or as for Tracker.end.
        step: when the samples were drawn.
        samples: JPEGs by caption.
    """
    select = logs["select"]
    body = [tag("h1", "Training ", name_of(run.name)), _facts(run, logs, measure, status),
            tag("section", tag("h2", "Curves"),
                tag("p", "Solid: training, as means of neighbouring rows where there are many. Dashed: selection "
                    f"images. A dotted vertical line: the best selection by {measure}.", class_="muted"),
                tag("div", [_figure(chart) for chart in charts], class_="charts"))]
    if samples:
        body.append(tag("section", tag("h2", f"Detections on selection images, step {step:,}"),
                        tag("p", "Boxes: detections in the colour of their score, blue to red. White boxes: faces that "
                            "no detection found.", class_="muted"),
                        tag("div", [_picture(caption, jpeg) for caption, jpeg in samples.items()], class_="samples")))
    if select:
        rows = np.column_stack(list(select.values()))
        body.append(details("All selections", table("Values of the selection images", [*select],
                    [[f"{row[0]:,.0f}", *map(float, row[1:])] for row in rows[::-1]])))
    body.append(details("Keys of the config that are not the defaults", _config(run)))
    return document(f"{run.name}: training", base_style() + colour_style() + STYLE, *body)


def _facts(run, logs, measure, status):
    train, select, speed = (logs[kind] for kind in KINDS)
    last, length = int(train["step"][-1]) if len(train.get("step", ())) else run.step, run.config.get("TRAIN.STEPS", 0)
    rows: list[list] = [["State", status], ["Step", f"{last:,} of {length:,}" if length else f"{last:,}"],
                        ["Drawn", time.strftime("%Y-%m-%d %H:%M:%S")]]
    best = best_row(select, measure)
    if best is not None:
        rows.append([f"Best {measure}", f"{select[measure][best]:.4f} at step {select['step'][best]:,.0f}"])
        rows.append([f"Last {measure}", f"{select[measure][-1]:.4f} at step {select['step'][-1]:,.0f}"])
    if len(speed.get("seconds", ())):
        rows.append(["Speed", f"{speed['images_per_second'][-1]:.1f} images/s, "
                              f"{speed['waits_percent'][-1]:.1f} % of the time waits for data"])
        rows.append(["Time", clock(speed["seconds"][-1])])
    return table("", ["Fact", "Value"], rows)


def _figure(chart):
    legend = [tag("li", swatch_of(line.look), line.name, tag("span", f"{line.value:{chart.digits}}"))
              for line in chart.lines]
    return tag("figure", tag("h3", chart.title), line_chart(chart), tag("ul", legend, class_="legend"))


def _picture(caption, jpeg):
    source = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    return tag("figure", tag("img", src=source, alt=caption), tag("figcaption", caption))


def _config(run):
    default = dict(flat_items(default_config()))
    rows = [[key, str(value)] for key, value in run.config.items() if default.get(key, value) != value]
    return table("", ["Key", "Value"], rows)
