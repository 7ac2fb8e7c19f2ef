"""HTML without a template language: elements that escape what they are given, tables, and the frame of a page.

A page is one file that asks for nothing else: its style is inside, its pictures are data: addresses, it has no script,
and its Content-Security-Policy forbids a browser to load or run anything, whatever a file name may contain.
"""

import html
import re

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# What HTML does not allow in text, and halves of pairs, which os.fsdecode makes of bytes that are no UTF-8.
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_EMPTY = ("img", "input", "meta")


class Html(str):
    """Text that is HTML already, so that it is not escaped again."""


class Exact(float):
    """A number that a table shows with all its digits."""


def escape(value):
    """Html of any value: of text all that HTML could misread is escaped, forbidden characters become U+FFFD."""
    return value if isinstance(value, Html) else Html(html.escape(_FORBIDDEN.sub("\ufffd", str(value))))


def join(*parts):
    """Html of parts; None is left out, lists and tuples are opened."""
    out = []
    for part in parts:
        if part is not None:
            out.append(join(*part) if isinstance(part, (list, tuple)) else escape(part))
    return Html("".join(out))


def tag(name, /, *children, **attributes):
    """An element: tag("p", "a < b", class_="note") is <p class="note">a &lt; b</p>.

    Of an attribute's name the last _ goes and others become -; None and False leave it out, True gives its name alone.
    """
    shown = ""
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            shown += f" {key}"
        elif value is not None and value is not False:
            shown += f' {key}="{html.escape(_FORBIDDEN.sub(chr(0xFFFD), str(value)))}"'
    return Html(f"<{name}{shown}>" if name in _EMPTY else f"<{name}{shown}>{join(*children)}</{name}>")


def name_of(text):
    """A name that may be written from right to left or hold the marks that turn what follows: kept to itself; where it
    is long, it breaks behind / and _."""
    return tag("bdi", Html(re.sub("([/_]+)(?=.)", r"\1<wbr>", escape(text))))


def table(caption, header, rows, best=()):
    """A table in a box of its own that scrolls when it is wider than the page.

    header: list of texts, the first is that of the column of names. rows: lists of the same length whose first cell is
    the row's name; floats get four digits, whole numbers commas, None a dash. best: columns (numbers) in which the
    highest float is set bold, where there are several rows.
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
    # The caption stays where it is while the table scrolls. Who has no mouse must be able to scroll as well, and a box
    # that can be reached needs a name.
    return join(tag("p", caption, class_="caption"),
                tag("div", content, class_="scroll", tabindex="0", role="region", aria_label=caption))


def _cell(value):
    if value is None:
        return "–"
    if isinstance(value, Exact):
        return repr(float(value))
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value


def details(summary, *children):
    """What is folded away until somebody wants it."""
    return tag("details", tag("summary", summary), *children)


def document(title, style, *body):
    """The whole page as bytes; style: its CSS."""
    head = tag("head", tag("meta", charset="utf-8"), tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
               tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
               tag("meta", name="color-scheme", content="light dark"), tag("title", title),
               tag("style", Html(style)))
    page = join(Html("<!DOCTYPE html>\n"), tag("html", head, "\n", tag("body", *body), lang="en"), "\n")
    return page.encode()
