"""The page as a folder for a static host."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..errors import InputError
from ..files import write_whole
from .headers import HEADERS

MARK = "site.json"  # a folder that holds it was built here
OWN = ("models", "browser/ort")  # folders whose old files go when a site is built again
RULES = "_headers"  # read by Netlify, Cloudflare Pages and others


def build_site(folder: str | os.PathLike, files: Mapping[str, Path | bytes]) -> int:
    """Write all files of a table from `site_files` into a folder, and a file with the headers for hosts that read it.

    Args:
        folder: a new or empty one, or one with a site, which is built again.

    Returns:
        Bytes written.

    Raises:
        InputError: the folder holds other files, or is a file.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--build {folder}: is a file; give a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise InputError(f"--build {folder}: the folder holds other files; give a new or an empty one")
    rules = "".join(f"  {name}: {value}\n" for name, value in HEADERS.items())
    written = 0
    for address, source in [*files.items(), (RULES, f"/*\n{rules}".encode())]:
        if address:  # "" is index.html once more
            data = source if isinstance(source, bytes) else source.read_bytes()
            write_whole(folder / address, data, sync=False)
            written += len(data)
    for name in OWN:
        for path in (folder / name).glob("*"):
            if f"{name}/{path.name}" not in files:
                path.unlink()
    return written
