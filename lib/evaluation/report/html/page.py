"""HTML without a template language: elements that escape their content, tables, and the frame of a page.

A page is one file that loads nothing else: its style is inside, its pictures are data: addresses, and it has no script.
Its Content-Security-Policy forbids a browser to load or run anything, whatever a file name contains.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# What HTML does not allow in text, and lone surrogates, which os.fsdecode makes of bytes that are not UTF-8.
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_EMPTY = ("img", "input", "meta")


class Html(str):
    """Text that is HTML already and is not escaped again."""


class Exact(float):
    """A number that a table shows with all its digits."""


def escape(value: object) -> Html:
    """Html of any value: characters that HTML could misread are escaped, forbidden ones become U+FFFD."""
    return value if isinstance(value, Html) else Html(html.escape(_FORBIDDEN.sub("\ufffd", str(value))))


def join(*children: object) -> Html:
    """Html of several values. None is left out, lists and tuples are flattened."""
    pieces = []
    for child in children:
        if child is not None:
            pieces.append(join(*child) if isinstance(child, (list, tuple)) else escape(child))
    return Html("".join(pieces))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """An element.

    Args:
        name: of the element.
        children: its content, as in join.
        attributes: a trailing _ of a name is dropped, other _ become -. None and False leave an attribute out, True
            writes its name alone.

    Examples:
        >>> str(tag("p", "a < b", class_="note"))
        '<p class="note">a &lt; b</p>'
    """
    shown = ""
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            shown += f" {key}"
        elif value is not None and value is not False:
            shown += f' {key}="{html.escape(_FORBIDDEN.sub(chr(0xFFFD), str(value)))}"'
    return Html(f"<{name}{shown}>" if name in _EMPTY else f"<{name}{shown}>{join(*children)}</{name}>")


def name_of(text: str) -> Html:
    """A name, isolated from the text around it: it may be written from right to left. It may break after / and _."""
    return tag("bdi", Html(re.sub("([/_]+)(?=.)", r"\1<wbr>", escape(text))))


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence], best: Sequence[int] = ()) -> Html:
    """A table in a box of its own that scrolls when it is wider than the page.

    Args:
        caption: text above the table.
        header: one text per column, first that of the column of names.
        rows: lists as long as the header, first the row's name. Floats get four digits, whole numbers commas, None a
            dash.
        best: indices of columns in which the highest value is bold, where there are several rows.
    """
    highest = {c: max((row[c] for row in rows if row[c] is not None), default=None) for c in best if len(rows) > 1}
    body = []
    for row in rows:
        cells = [tag("th", row[0], scope="row")]
        for c, value in enumerate(row[1:], 1):
            number = value is None or isinstance(value, (int, float))
            shown = tag("strong", _cell(value)) if value is not None and highest.get(c) == value else _cell(value)
            cells.append(tag("td", shown, class_="number" if number else None))
        body.append(tag("tr", cells))
    numbers = [bool(rows) and (value is None or isinstance(value, (int, float))) for value in (rows or [header])[0]]
    head = tag("tr", [tag("th", text, scope="col", class_="number" if number else None)
                      for text, number in zip(header, numbers, strict=True)])
    content = tag("table", tag("thead", head), tag("tbody", body), aria_label=caption)
    # The caption stays in place while the table scrolls. The box can be reached and scrolled with the keyboard, so it
    # needs a name.
    return join(tag("p", caption, class_="caption"),
                tag("div", content, class_="scroll", tabindex="0", role="region", aria_label=caption))


def _cell(value):
    if value is None:
        return "–"
    if isinstance(value, Exact):
        return repr(float(value))
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value


def details(summary: object, *children: object) -> Html:
    """Content that is folded until a reader opens it."""
    return tag("details", tag("summary", summary), *children)


def base_style() -> str:
    """The CSS that all pages share (report.css)."""
    return Path(__file__).with_name("report.css").read_text(encoding="utf-8")


def document(title: str, style: str, *body: object) -> bytes:
    """The whole page.

    Args:
        title: of the page.
        style: its CSS.
        body: its content, as in join.
    """
    head = tag("head", tag("meta", charset="utf-8"), tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
               tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
               tag("meta", name="color-scheme", content="light dark"), tag("title", title),
               tag("style", Html(style)))
    page = join(Html("<!DOCTYPE html>\n"), tag("html", head, "\n", tag("body", *body), lang="en"), "\n")
    return page.encode("utf-8", "backslashreplace")
