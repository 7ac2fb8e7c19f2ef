"""Fetching one file over HTTP: it continues where it was cut, and only the right file takes its place.

While it comes, it is FILE.part; FILE.part.tag holds what identifies the server's version, so that two versions are
never joined.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from ...errors import InputError, printable
from ...locks import hold, release
from .table import File

CHUNK = 1 << 18
TIMEOUT = 30.0  # seconds without a byte
PAUSES = (1.0, 2.0, 4.0, 8.0)  # seconds before each new try; a try that brought bytes begins the list again
AGENT = "manyfaces"


def fetch(file: File, folder: str | os.PathLike, progress: Callable[[int, int | None], None] | None = None,
          pauses: tuple[float, ...] = PAUSES) -> str:
    """Fetch a file into a folder.

    Args:
        file: what to fetch.
        folder: where to; it is made.
        progress: called with the bytes that are there and the size, None where that is not known.
        pauses: seconds to wait before each further try after a cut.

    Returns:
        Its SHA-256.

    Raises:
        InputError: the server cannot be reached, refuses, or sends another file; or the disk is full. It says what to
            do.
    """
    path = Path(folder) / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return _check(path, path, file)
    part = path.with_name(f"{file.name}.part")
    hold(part, is_file=True)
    try:
        _receive(file, part, progress, pauses)
        found = _check(part, path, file)
        os.replace(part, path)
        tag_file(part).unlink(missing_ok=True)
    finally:
        release(part, is_file=True)
    return found


def mirrored(file: File, mirror: str) -> File:
    """The same file at MIRROR/NAME; size and checksum stay."""
    return replace(file, address=f"{mirror.rstrip('/')}/{file.name}") if mirror else file


def digest(path: str | os.PathLike, kind: str = "sha256") -> str:
    """The checksum of a file in hexadecimal digits; kind: `sha256`, `sha1` or `md5`."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, kind).hexdigest()


def in_bytes(size: float | None) -> str:
    """1.5 GB of 1465602149; `unknown size` of None."""
    if size is None:
        return "unknown size"
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size:.0f} bytes"


def _check(path, shown, file):
    """Return the SHA-256. A file that is not what it should be is removed, unless it was there before."""
    size, problem = path.stat().st_size, ""
    kind, _, expected = file.checksum.partition(":")
    if file.size is not None and size != file.size:
        problem = f"it has {size:,} bytes, expected {file.size:,}"
    elif (found := digest(path, kind or "sha256")) != expected and kind:
        problem = f"its {kind} is {found}, expected {expected}"
    if not problem:
        return found if kind in ("", "sha256") else digest(path)
    if path == shown:
        raise InputError(f"{shown}: {problem} (as {file.source} says); delete or move it, then run the command "
                         f"again")
    _restart(path)
    raise InputError(f"{shown}: {problem} (as {file.source} says): the file at {file.address} is damaged or has "
                     f"changed. What came was removed; run the command again, or look at the page of its authors")


def tag_file(part: Path) -> Path:
    """The file beside a part that identifies the server's version."""
    return part.with_name(f"{part.name}.tag")


def _receive(file, part, progress, pauses):
    """Bring the part to its full length, in several tries where the connection is cut."""
    left = list(pauses)
    while True:
        before = _size(part)
        try:
            if _once(file, part, progress):
                return
            reason = "the connection ended early"
        except urllib.error.HTTPError as error:
            if error.code not in (408, 429, 500, 502, 503, 504):
                raise InputError(_refused(file, error)) from None
            reason = f"{error.code} {error.reason}"
        except urllib.error.URLError as error:
            if not left or _never(error):
                raise InputError(_unreachable(file, part, error.reason)) from None
            reason = str(error.reason)
        except (http.client.HTTPException, ConnectionError) as error:
            reason = str(error) or type(error).__name__
        if _size(part) > before:
            left = list(pauses)
        if not left:
            raise InputError(f"{part.with_suffix('')}: {_host(file)} stopped at {in_bytes(_size(part))} of "
                             f"{in_bytes(file.size)} ({printable(reason)}); run the same command again, it continues "
                             f"there")
        time.sleep(left.pop(0))


def _size(part):
    return part.stat().st_size if part.exists() else 0


@contextlib.contextmanager
def _network():
    """Makes a ConnectionError of any error of a socket or of OpenSSL, which are OSErrors as those of the disk are."""
    try:
        yield
    except urllib.error.URLError:
        raise
    except OSError as error:
        raise ConnectionError(str(error) or type(error).__name__) from error


def _once(file, part, progress):
    """One request; returns whether the part is complete."""
    have, tag = _size(part), _tag(part)
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if tag:
            headers["If-Range"] = tag
    try:
        with _network():
            answer = urllib.request.urlopen(urllib.request.Request(file.address, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        total = _number(str(error.headers.get("Content-Range", "")).rpartition("/")[2])
        error.close()
        if total == have:
            return True
        _restart(part)  # it is longer than the file
        return False
    with answer:
        if answer.status == 206 and not str(answer.headers.get("Content-Range", "")).startswith(f"bytes {have}-"):
            _restart(part)
            return False
        if answer.status != 206:  # the whole file, from its beginning
            have = 0
        length = _number(answer.headers.get("Content-Length"))
        total = None if length is None else have + length
        _refuse_page(file, answer)
        _need_room(part, file, total, have)
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        return _write(part, answer, have, total, "" if tag.startswith("W/") else tag, file, progress)


def _write(part, answer, have, total, tag, file, progress):
    try:
        with open(part, "r+b" if part.exists() else "wb") as stream:
            stream.truncate(have)
            stream.seek(have)
            tag_file(part).write_text(tag, encoding="utf-8")
            while True:
                with _network():
                    data = answer.read(CHUNK)
                if not data:
                    break
                stream.write(data)
                stream.flush()
                have += len(data)
                if progress:
                    progress(have, total if total is not None else file.size)
    except ConnectionError:
        raise
    except OSError as error:
        raise InputError(f"{part}: cannot be written ({error.strerror or error}); {in_bytes(_size(part))} are there. "
                         f"Free some space, then run the same command again, it continues there") from None
    return total is None or have >= total


def _tag(part):
    try:
        return tag_file(part).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _restart(part):
    part.unlink(missing_ok=True)
    tag_file(part).unlink(missing_ok=True)


def _number(text):
    return int(text) if str(text).isdigit() else None


def _refuse_page(file, answer):
    """A web page instead of the file: a log-in, a quota, or the welcome of a network."""
    kind = str(answer.headers.get("Content-Type", "")).split(";")[0].strip().lower()
    if kind == "text/html" and not file.name.endswith((".html", ".htm")):
        raise InputError(f"{file.name}: {_host(file)} sent a web page instead of the file (a log-in, a quota, or the "
                         f"start page of this network); open {file.address} in a browser and put the file where this "
                         f"command would, then run it again")


def _need_room(part, file, total, have):
    wanted = (total if total is not None else file.size or 0) - have
    free = shutil.disk_usage(part.parent).free
    if wanted > free:
        raise InputError(f"{part.parent}: {in_bytes(free)} are free, {file.name} needs {in_bytes(wanted)} more; free "
                         f"some space, or name another folder with --out")


def _host(file):
    return urlsplit(file.address).hostname or file.address


def _never(error):
    """Whether another try would end as this one: no such host, or a proxy or certificate that refuses."""
    text = str(error.reason)
    return any(word in text for word in ("not known", "No address", "nodename", "getaddrinfo", "Tunnel connection",
                                         "CERTIFICATE", "unknown url type"))


def _unreachable(file, part, reason):
    proxies = ", ".join(f"{kind}_proxy={printable(value)}" for kind, value in urllib.request.getproxies().items()
                        if kind != "no")
    through = f" through {proxies}" if proxies else ""
    return (f"{_host(file)}: cannot be reached{through} ({printable(str(reason))}). Without a network: fetch "
            f"{file.address} ({in_bytes(file.size)}) on another machine, put it at {part.with_suffix('')}, and run the "
            f"command again; it checks and unpacks it")


def _refused(file, error):
    hint = {401: "it asks for a log-in", 403: "it does not allow this", 404: "the file has moved",
            407: "the proxy asks for a log-in", 410: "the file is gone"}.get(error.code, "")
    return (f"{file.address}: the server answers {error.code} {printable(str(error.reason))}"
            f"{f' ({hint})' if hint else ''}; look for {file.name} on the page of its authors, put it where this "
            f"command would, and run it again; or name another server with --mirror")
