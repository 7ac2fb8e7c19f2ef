"""HTTP headers of the page, whoever serves it."""

from __future__ import annotations

from pathlib import PurePosixPath

# Nothing is loaded from another origin or sent to one. WebAssembly is compiled; blob: is for pictures of the reader.
POLICY = ("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
          "connect-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'none'")
ISOLATION = {  # a page of its own process: browsers allow threads only there
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
HEADERS = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    **ISOLATION,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer. A copy of POLICY stands in index.html, for static hosts that cannot set headers."""

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".wasm": "application/wasm",
    ".jpg": "image/jpeg",
    ".onnx": "application/octet-stream",
}
"""Ending of a file -> its Content-Type. Browsers refuse modules and WebAssembly of another type."""


def headers_of(address: str, threads: bool = True) -> dict[str, str]:
    """The headers of an answer.

    Args:
        address: as in `site_files`; its ending decides the type.
        threads: with the two headers that browsers want before they allow threads.
    """
    kind = MEDIA_TYPES.get(PurePosixPath(address).suffix, "application/octet-stream")
    return {"Content-Type": kind, "Cache-Control": "no-cache",
            **{name: value for name, value in HEADERS.items() if threads or name not in ISOLATION}}
