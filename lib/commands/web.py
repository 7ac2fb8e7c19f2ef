"""Show a page that finds faces in a browser, or write it as a folder for any static host.

Pictures and the camera are read by the page itself, in the browser: nothing is sent. The detectors are the shipped
ones, or exported models of your own (.onnx with its .json). Their runtime, onnxruntime-web, is fetched once by npm into
the cache of the user.

The server listens on 127.0.0.1 only. It sends the headers that browsers want before they allow threads; a static host
has to send the same ones, or the page computes with one thread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from ..errors import InputError, Range, check_whole
from .command_line import argument_parser

EXAMPLE = """
manyfaces web
manyfaces web --model ssh_mobilenet_v1_025 --model output/mine/mine.onnx --port 8000
manyfaces web --build public
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of `manyfaces web`."""
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("--model", action="append", metavar="NAME|FILE", help="a detector that the page offers; the "
                        "first one is shown (default: all shipped ones that run in a browser)")
    parser.add_argument("--port", type=int, metavar="N", help="0: any that is free (default: 8737, or any that is free "
                        "where it is taken)")
    parser.add_argument("--no-threads", action="store_true", help="without the headers for threads, as a host that "
                        "cannot send them")
    parser.add_argument("--no-webgpu", action="store_true", help="without the files for graphics cards, 27 MB")
    parser.add_argument("--build", metavar="DIR", help="write the page there and serve nothing")
    options = parser.parse_args(arguments)
    if options.port is not None:
        check_whole(options.port, "--port", Range(least=0, most=65535))
    if options.build and (options.port is not None or options.no_threads):
        raise InputError("--build writes files and serves nothing: leave --port and --no-threads out")

    from ..web import browser_models, site_files  # late, so that --help does not wait for it
    from ..web.build import build_site
    from ..web.runtime import fetch_runtime
    from ..web.server import Server

    browser_models(options.model)  # a wrong model is reported before anything is fetched
    files = site_files(options.model, fetch_runtime(), webgpu=not options.no_webgpu)
    if options.build:
        size = build_site(options.build, files)
        print(f"{options.build}: {len(files)} files, {size / 1e6:.0f} MB; docs/web.md says how a host serves them")
        return
    with Server(files, options.port, threads=not options.no_threads) as server:
        print(f"{server.url} shows the page; Ctrl+C ends it", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
