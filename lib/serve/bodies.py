"""Reads the body of a request within its bounds, and takes images out of multipart/form-data.

A body is bounded before it is split, so the form is split in memory, by searches for the boundary: no temporary file,
and no work per byte.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from ..errors import shown
from .answers import Gone, Problem
from .settings import Settings

_MOST_HEAD = 4096  # bytes of the headers of a part
PARAMETERS = ("model", "threshold")
_BOUNDARY = re.compile(r"""boundary=(?:"([^"]{1,70})"|([^\s";,]{1,70}))(?:\s*;|\s*$)""", re.IGNORECASE)

Receive = Callable[[], Awaitable[Any]]


class Held:
    """Counts the bytes of all bodies that a process holds.

    Args:
        most: bytes.
    """

    def __init__(self, most: int) -> None:
        self.most, self.now = most, 0

    def take(self, count: int) -> None:
        """Add bytes; Problem where they would be too many."""
        if self.now + count > self.most:
            raise Problem("busy", "Too many images are on their way at the moment; try again soon.", 1)
        self.now += count


class Part(NamedTuple):
    """A part of a form.

    Attributes:
        name: of the field.
        file: name of the file, without folders; empty: none was given.
        data: its bytes.
    """

    name: str
    file: str
    data: memoryview


async def read_body(receive: Receive, headers: Mapping[str, str], settings: Settings, held: Held) -> bytearray:
    """All bytes of a body. They are counted in `held`; the caller takes them off when the body is done with.

    Raises:
        Problem: the body is too large (known before it is read, or while it is), too slow, or compressed.
        Gone: the client has left.
    """
    most = settings.max_bytes
    too_large = Problem("body_too_large", f"The body has more than the {most:,} bytes that this service accepts; send "
                        "a smaller or more strongly compressed image, or fewer images at once.")
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit():
        raise Problem("bad_request", "Content-Length is not a number.")
    if len(length) > 18 or int(length) > most:
        raise too_large
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Problem("unsupported_encoding", "The body has a Content-Encoding; send the bytes of the image file as "
                      "they are.")
    body, end, whole = bytearray(), time.monotonic() + settings.body_seconds, False
    try:
        while not whole:
            patience = min(settings.stall_seconds, end - time.monotonic())
            try:
                async with asyncio.timeout(max(patience, 0)):
                    message = await receive()
            except TimeoutError:
                raise Problem("timeout", f"The body came too slowly: nothing for {settings.stall_seconds:g} s, or not "
                              f"all of it within {settings.body_seconds:g} s.") from None
            if message["type"] == "http.disconnect":
                raise Gone
            chunk = message.get("body", b"")
            if len(body) + len(chunk) > most:
                raise too_large
            held.take(len(chunk))
            body += chunk
            whole = not message.get("more_body", False)
    except BaseException:
        held.now -= len(body)
        raise
    return body


def split_form(body: bytes | bytearray, content_type: str, most: int) -> tuple[list[Part], dict[str, str]]:
    """Images and parameters of multipart/form-data (RFC 7578, RFC 2046 section 5.1).

    Args:
        content_type: of the request.
        most: images.

    Returns:
        The images, and the texts of the fields `model` and `threshold`.

    Raises:
        Problem: the form is damaged, nested, encoded, or has too many images.
    """
    found = _BOUNDARY.search(content_type)
    if not found:
        raise _bad("Content-Type names no valid boundary")
    mark = b"\r\n--" + (found[1] or found[2]).encode("latin-1", "replace")
    images: list[Part] = []
    parameters: dict[str, str] = {}
    at = 0 if body.startswith(mark[2:]) else body.find(mark) + 2
    if at == 1:
        raise _bad("the boundary that Content-Type names is not in the body")
    at += len(mark) - 2
    while not body.startswith(b"--", at):
        start, name, file = _head(body, at)
        end = _end(body, mark, start)
        part = Part(name, file, memoryview(body)[start:max(start, end)])
        at = end + len(mark)
        if part.name in PARAMETERS and not part.file:
            if part.name in parameters or len(part.data) > 200:
                raise _bad(f"the field {part.name} is given twice or is too long")
            parameters[part.name] = bytes(part.data).decode("utf-8", "replace").strip()
            continue
        images.append(part)
        if len(images) > most:
            raise Problem("too_many_images", f"The form has more than the {most} images that a request may have; send "
                          "several requests.")
    if not images:
        raise _bad("it has no part with an image")
    return images, parameters


def _head(body, at):
    """(begin of the data, name, file) of the part whose boundary ends at `at`."""
    line = re.compile(rb"[ \t]{0,100}\r\n").match(body, at)
    if not line:
        raise _bad("a boundary is followed by other text, or the body is cut short")
    if body.startswith(b"\r\n", line.end()):
        raise _bad("a part has no headers")
    end = body.find(b"\r\n\r\n", line.end(), line.end() + _MOST_HEAD)
    if end < 0:
        raise _bad(f"the headers of a part do not end within {_MOST_HEAD} bytes")
    rows = [row.partition(":") for row in bytes(body[line.end() : end]).decode("utf-8", "replace").split("\r\n")]
    headers = {name.strip().lower(): value.strip() for name, _, value in rows}
    if headers.get("content-type", "").lower().startswith("multipart/"):
        raise _bad("a part is itself multipart; send each image as a part of its own")
    if headers.get("content-transfer-encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
        raise _bad("a part has a Content-Transfer-Encoding; send the bytes of the file as they are")
    disposition = headers.get("content-disposition", "")
    if not disposition.lower().startswith("form-data"):
        raise _bad("a part has no Content-Disposition: form-data")
    file = _value(disposition, "filename").replace("\\", "/").rpartition("/")[2]
    return end + 4, _value(disposition, "name")[:100], file[:200]


def _value(disposition, key):
    found = re.search(rf'[;\s]{key}=(?:"([^"]*)"|([^\s;"]+))', disposition)
    return (found[1] or found[2] or "") if found else ""


def _end(body, mark, start):
    """Where the data that begin at `start` end: before the next boundary, which can directly follow the headers."""
    at = body.find(mark, start - 2)
    while at >= 0 and body[at + len(mark) : at + len(mark) + 1] not in (b"-", b"\r", b" ", b"\t"):
        at = body.find(mark, at + 1)  # a longer word that begins as the boundary does
    if at < 0:
        raise _bad("its last part does not end with the boundary, so it was cut short")
    return at


def _bad(what):
    return Problem("bad_multipart", f"The form cannot be read: {what}.")


def parameter(text: str | None) -> float | None:
    """The threshold of a form, which is text; Problem where it is no number from 0 to 1."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise Problem("bad_parameter", f"threshold is {shown(text)}, expected a number from 0 to 1.")
    return value
