"""Answer images with faces: an HTTP service with a page, for this machine or, with a key and a proxy, for others.

POST the bytes of an image to /v1/detect, or a form with several; the answer is JSON. The page at / does that for you.
/v1/models, /healthz, /readyz, /metrics and /openapi.json are for programs. The log on standard output has one JSON line
per request and never a picture.

An API key is asked for where the environment has MANYFACES_API_KEY, or MANYFACES_API_KEY_FILE or --key-file name a file
with a key per line.

Exit code 0 after SIGTERM or Ctrl-C: what was accepted is answered first, the rest gets 503.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..constants import DEFAULT_DETECTOR
from ..errors import InputError
from ..progress import print_line
from ..serve.settings import MB, Settings, is_loopback, limit_opencv, read_keys
from .command_line import argument_parser, quiet_decoders

EXAMPLE = """
manyfaces serve
curl --data-binary @photo.jpg http://127.0.0.1:8000/v1/detect
manyfaces serve --model ssh_mobilenet_v1_025 tiny_mobilenet_v1_025 mine=output/mine/mine.onnx --port 9000
MANYFACES_API_KEY=$(openssl rand -hex 24) manyfaces serve --host 0.0.0.0 --workers 4
"""


def settings_of(arguments: Sequence[str] | None = None) -> Settings:
    """What the words of the command line mean.

    Raises:
        InputError: a value is not allowed.
    """
    usual = Settings()
    parser = argument_parser(__doc__, EXAMPLE)
    parser.add_argument("--model", nargs="+", action="extend", metavar="NAME", help="names of shipped detectors, "
                        "exported models (.onnx, .xml, .tflite), or NAME=PATH of one; the first is the default of a "
                        f"request (default: {DEFAULT_DETECTOR})")
    parser.add_argument("--host", default=usual.host, help="address to listen on; 0.0.0.0: all of this machine's")
    parser.add_argument("--port", type=int, default=usual.port, metavar="N", help="0: any free one")
    parser.add_argument("--workers", type=int, default=usual.workers, metavar="N", help="processes")
    parser.add_argument("--parallel", type=int, default=usual.parallel, metavar="N", help="images that a process works "
                        "on at once, each on one core (default: its share of the cores)")
    parser.add_argument("--queue", type=int, default=usual.queue, metavar="N", help="images that may wait in a "
                        "process; more get 503")
    parser.add_argument("--max-mb", type=float, default=usual.max_bytes / MB, metavar="X", help="of a request, in 10^6 "
                        "bytes")
    parser.add_argument("--max-megapixels", type=float, default=usual.max_pixels / MB, metavar="X", help="of an image; "
                        "it bounds the time and memory of one")
    parser.add_argument("--max-images", type=int, default=usual.max_images, metavar="N", help="of a request")
    parser.add_argument("--patience", type=float, default=usual.body_seconds, metavar="S", help="for the body of a "
                        f"request; its head and each pause get at most {usual.header_seconds:g} s, a client that does "
                        f"not take its answer {usual.write_seconds:g} s")
    parser.add_argument("--grace", type=float, default=usual.grace_seconds, metavar="S", help="after SIGTERM, for what "
                        "was accepted")
    parser.add_argument("--key-file", metavar="FILE", help="API keys, one per line")
    parser.add_argument("--allow-host", nargs="+", action="extend", default=[], metavar="NAME", help="further names by "
                        "which a service on 127.0.0.1 may be called, such as that of a proxy")
    parser.add_argument("--allow-origin", nargs="+", action="extend", default=[], metavar="URL", help="web pages of "
                        "other origins that may read the answers (CORS), such as https://photos.example.org")
    parser.add_argument("--runtime", metavar="NAME", help="openvino, onnxruntime, litert or keras (default: the "
                        "fastest that is installed)")
    parser.add_argument("--precision", choices=("float32", "bf16", "int8"), help="as of `manyfaces detect`")
    parser.add_argument("--no-page", action="store_true", help="leave out the page at /")
    options = parser.parse_args(arguments)
    patience = options.patience
    return Settings(
        models=tuple(options.model or usual.models), host=options.host, port=options.port, workers=options.workers,
        parallel=options.parallel, queue=options.queue, max_bytes=_whole(options.max_mb), max_images=options.max_images,
        max_pixels=_whole(options.max_megapixels), body_seconds=patience,
        header_seconds=min(usual.header_seconds, patience), stall_seconds=min(usual.stall_seconds, patience),
        write_seconds=min(usual.write_seconds, patience),
        grace_seconds=options.grace, key_file=options.key_file, allow_hosts=tuple(options.allow_host),
        allow_origins=tuple(options.allow_origin), runtime=options.runtime, precision=options.precision,
        page=not options.no_page)


def main(arguments: Sequence[str] | None = None) -> int | None:
    """The command line of `manyfaces serve`."""
    settings = settings_of(arguments)
    keys = read_keys(settings.key_file)
    limit_opencv(settings.max_pixels)  # before OpenCV is imported
    quiet_decoders()
    try:
        from ..serve.processes.server import open_socket, serve, url_of
        from ..serve.processes.workers import serve_with_workers
    except ModuleNotFoundError as error:
        raise InputError(f"the package {error.name} is not installed: pip install 'manyfaces[serve]'") from None
    if not keys and not is_loopback(settings.host):
        print_line(f"warning: {settings.host} is open to others and asks for no key; see MANYFACES_API_KEY in --help")
    listening = open_socket(settings.host, settings.port)
    url = url_of(listening, settings.host)

    def announce():
        print_line(f"manyfaces serves {', '.join(settings.named_models())} at {url} (Ctrl-C ends it)")

    with listening:
        if settings.workers > 1:
            return serve_with_workers(settings, listening, announce)
        return serve(settings, listening, announce)


def _whole(millions):
    """A number of bytes or pixels; what is none is refused by Settings."""
    return round(millions * MB) if 0 < millions < 1e9 else 0
