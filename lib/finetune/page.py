"""What is told about a finished training: lines to print, the model card and report.html."""

from __future__ import annotations

import base64
import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..datasets.images import image_size
from ..datasets.roidb import Roidb
from ..datasets.statistics import statistics_table
from ..errors import printable
from ..evaluation.report.html import report as html_report
from ..evaluation.report.html.page import Html, document, table, tag
from ..files import write_whole
from .blend import TOLERANCE
from .judge import BINS, Judgement
from .photos import in_words

if TYPE_CHECKING:
    from easydict import EasyDict

STYLE = "img { max-width: 100%; height: auto; } pre { overflow-x: auto; }"
HELD_NOTE = ("The images held out were not trained on. They chose among {} blends with the shipped weights, so the "
             "last row is slightly favourable.")


@dataclass
class Story:
    """The facts of a training.

    Attributes:
        cfg: its config.
        model: name of the shipped model that it began from.
        train: the photographs that were trained on.
        held: those held out.
        rows: name -> how a detector performs on the images held out, in the order of the table.
        fraction: of the trained weights in the blend.
        scores: fraction -> AP of that blend on the images held out.
        steps: steps done.
        seconds: time of the training.
        licence: of everything that was learnt from.
    """

    cfg: EasyDict
    model: str
    train: Roidb
    held: Roidb
    rows: Mapping[str, Judgement]
    fraction: float
    scores: Mapping[float, float]
    steps: int
    seconds: float
    licence: str

    @property
    def gain(self) -> float:
        """AP of the last row less that of the first."""
        first, *_, last = self.rows.values()
        return last.ap - first.ap


def figures(rows: Mapping[str, Judgement]) -> list[list]:
    """Rows of the table: name, AP per bin of heights (None without faces), faces found, missed, false."""
    return [[name, *(row.figures[b]["ap"] if row.figures[b]["faces"] else None for b in BINS), len(row.found),
             len(row.missed), len(row.false)] for name, row in rows.items()]


def header(rows: Mapping[str, Judgement]) -> list[str]:
    """Its columns, with the number of faces in each bin."""
    faces = next(iter(rows.values())).figures
    return ["", *(f"AP {name} ({faces[name]['faces']:,})" for name in BINS), "found", "missed", "false"]


def text_table(rows: Mapping[str, Judgement]) -> str:
    """The table as aligned lines."""
    lines = _cells(rows, "-")
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(f"{cell:{'<' if not i else '>'}{width}}"
                               for i, (cell, width) in enumerate(zip(line, widths, strict=True))).rstrip()
                     for line in lines)


def _cells(rows, dash):
    """The texts of the table, its header first; dash: of a figure without faces."""
    return [header(rows), *([dash if cell is None else f"{cell:.3f}" if isinstance(cell, float) else str(cell)
                             for cell in row] for row in figures(rows))]


def verdict(story: Story) -> str:
    """One sentence: what was gained, and how much of it by the scale and by the training."""
    first, *between, last = story.rows.values()
    if story.gain <= 0:
        return (f"The training gained nothing on the images held out (AP {first.ap:.3f}, now {last.ap:.3f}): keep "
                f"{story.model}, or annotate more photographs.")
    parts = "".join(f": {each.ap - first.ap:+.3f} by the scale, {last.ap - each.ap:+.3f} by the training"
                    for each in between)
    return f"AP on the images held out rose from {first.ap:.3f} to {last.ap:.3f}{parts}."


def usage(model: str | os.PathLike) -> list[str]:
    """The line of Python and the command line that use a model.

    Examples:
        >>> usage("my photos/x.onnx")[1]
        "manyfaces detect photo.jpg --weights 'my photos/x.onnx'"
    """
    path = printable(os.fspath(model))
    return [f'faces = manyfaces.Detector.load({json.dumps(path, ensure_ascii=False)}).detect("photo.jpg")',
            f"manyfaces detect photo.jpg --weights {shlex.quote(path)}"]


def card(story: Story) -> str:
    """The model card, Markdown."""
    name, train = story.cfg.NAME, story.cfg.TRAIN
    head, *rows = _cells(story.rows, "–")
    grid = "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
    return f"""# {name}

{story.model}, trained further on photographs of its user by `manyfaces train`.

## Data and their licence

{in_words(story.train)} to train, {in_words(story.held)} held out. {story.licence}.

## Recipe

{story.steps:,} steps of {train.BATCH} crops, rate {train.RATE:g} with a cosine, {story.seconds / 60:.0f} minutes. The
weights are {story.fraction:g} of the trained ones and {1 - story.fraction:g} of the shipped ones (arXiv 2109.01903).
`{name}.yml` is the whole config.

## Accuracy

AP at IoU 0.5 (Pascal VOC) on the {len(story.held.records):,} images held out, number of faces in brackets; found,
missed and false faces from score {story.cfg.TEST.DEMO_SCORE:g} on. {_held_note(story)}

{grid}
"""


def _held_note(story: Story) -> str:
    return HELD_NOTE.format(len(story.scores))


def write_report(story: Story, folder: Path, model: str) -> None:
    """Write report.html, which loads nothing else.

    Args:
        story: the facts.
        folder: of the training, with its pictures.
        model: path of the exported model.
    """
    name = story.cfg.NAME
    blends = [[f"{fraction:g}", ap] for fraction, ap in story.scores.items()]
    body = [
        tag("header", tag("h1", f"{name}: {story.model} on your photographs"), tag("p", verdict(story))),
        tag("main",
            _section("What it gained", table("AP at IoU 0.5 on the images held out, number of faces in brackets; "
                                             f"found, missed and false from score {story.cfg.TEST.DEMO_SCORE:g} on",
                                             header(story.rows), figures(story.rows)),
                     tag("p", _held_note(story)),
                     table(f"AP of blends of the shipped and the trained weights; {story.fraction:g} was taken, the "
                           f"smallest fraction within {TOLERANCE:g} of the best",
                           ["fraction of the trained weights", "AP"], blends)),
            _section("Found, missed and false faces of the images held out",
                     _picture(folder / "faces.jpg", "crops of faces in three groups")),
            _section("The training", _picture(folder / "curves.png", "curves of losses, AP and rate"),
                     tag("p", f"{story.steps:,} steps in {story.seconds / 60:.1f} minutes."),
                     tag("p", tag("a", "run.html", href="run.html"), " shows the run with its config.")
                     if (folder / "run.html").is_file() else None),
            _section("The photographs", _picture(folder / "samples.jpg", "photographs with the boxes of their faces"),
                     tag("pre", statistics_table(story.train)), tag("p", f"{in_words(story.held)} are held out.")),
            _section("How to use it", tag("pre", "\n".join(usage(model))), tag("p", f"Licence: {story.licence}."))),
        tag("footer", "Made by manyfaces train.")]
    style = Path(html_report.__file__).with_name("report.css").read_text(encoding="utf-8")
    write_whole(folder / "report.html", document(f"{name}: trained on own photographs", style + STYLE, body))


def _section(title: str, *content: object) -> Html:
    return tag("section", tag("h2", title), *content)


def _picture(path: Path, alt: str) -> Html | None:
    """The picture inside the page; None where there is none."""
    if not path.is_file():
        return None
    data = path.read_bytes()
    width, height = image_size(data)
    kind = "png" if path.suffix == ".png" else "jpeg"
    return tag("img", src=f"data:image/{kind};base64,{base64.b64encode(data).decode()}", alt=alt, width=width,
               height=height)
