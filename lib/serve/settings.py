"""What a service is told: its models, its address and its limits. The defaults of the limits suit a small host."""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..constants import DEFAULT_DETECTOR
from ..errors import InputError, Range, check_number, check_whole, shown

KEY_VARIABLE, KEY_FILE_VARIABLE = "MANYFACES_API_KEY", "MANYFACES_API_KEY_FILE"
OPENCV_LIMIT = "OPENCV_IO_MAX_IMAGE_PIXELS"
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # of prometheus_client
MB = 1_000_000
_LEAST_KEY = 16  # characters: shorter keys can be guessed
_MOST_KEY_FILE = 1 << 16
_NAME = re.compile(r"[\w.-]{1,100}")
_WHOLE = {"port": Range(least=0, most=65535), "workers": Range(least=1, most=256), "parallel": Range(least=0, most=256),
          "queue": Range(least=1, most=10_000), "max_bytes": Range(least=1000, most=1 << 31),
          "max_pixels": Range(least=1, most=1 << 40), "max_images": Range(least=1, most=1000),
          "max_connections": Range(least=1, most=100_000)}
_SECONDS = ("header_seconds", "stall_seconds", "body_seconds", "write_seconds", "grace_seconds")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that decides how a service behaves. The keys are not among it: they are never printed or passed on.

    Attributes:
        models: names of shipped detectors, paths of exported models, or NAME=PATH; the first is the default.
        host, port: where it listens; port 0: any free one.
        workers: processes.
        parallel: images that a process works on at once; 0: its share of the cores.
        queue: images that may wait in a process; more are refused with 503.
        max_bytes: of a request's body.
        max_pixels: of an image, by its header, before it is decoded. It bounds time and memory per image.
        max_images: of a request.
        max_connections: of a process.
        max_held: bytes of bodies that a process holds at once; 0: from max_bytes.
        header_seconds: for the head of a request.
        stall_seconds, body_seconds: between two pieces of a body, and for the whole of it.
        write_seconds: for a client to take a piece of the answer.
        grace_seconds: after SIGTERM, for what was accepted.
        key_file: file with an API key per line.
        allow_hosts: further names by which clients may call a service that listens on a loopback address.
        allow_origins: origins of web pages that may read the answers (CORS).
        runtime, precision: as for Detector.load.
        page: whether / shows the page.
    """

    models: tuple[str, ...] = (DEFAULT_DETECTOR,)
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    parallel: int = 0
    queue: int = 32
    max_bytes: int = 20 * MB
    max_pixels: int = 25 * MB
    max_images: int = 16
    max_connections: int = 512
    max_held: int = 0
    header_seconds: float = 10.0
    stall_seconds: float = 10.0
    body_seconds: float = 60.0
    write_seconds: float = 20.0
    grace_seconds: float = 30.0
    key_file: str | None = None
    allow_hosts: tuple[str, ...] = ()
    allow_origins: tuple[str, ...] = ()
    runtime: str | None = None
    precision: str | None = None
    page: bool = True

    def __post_init__(self) -> None:
        for name, bounds in _WHOLE.items():
            check_whole(getattr(self, name), name, bounds)
        for name in _SECONDS:
            check_number(getattr(self, name), name, Range(over=0, most=3600))
        if self.max_images > self.queue:
            raise InputError(f"max_images is {self.max_images}, more than the {self.queue} images that may wait "
                             "(queue): such a request could never be accepted; raise the one or lower the other")
        for origin in self.allow_origins:
            if not re.fullmatch(r"https?://[^/\s*]+", origin):
                raise InputError(f"allow_origins: found {shown(origin)}, expected an origin such as "
                                 "https://photos.example.org, without a path")
        self.named_models()

    def named_models(self) -> dict[str, str]:
        """Name in requests -> what Detector.load opens."""
        found: dict[str, str] = {}
        for text in self.models:
            name, equals, source = text.partition("=")
            if not equals:
                name, source = (Path(text).stem if os.sep in text or Path(text).suffix else text), text
            if not _NAME.fullmatch(name) or not source:
                raise InputError(f"model: found {shown(text)}, expected a name, a file, or NAME=FILE, where the name "
                                 "has letters, digits, '_', '-' and '.'")
            if name in found:
                raise InputError(f"model: the name {name} is given twice; write NAME=FILE to tell them apart")
            found[name] = source
        if not found:
            raise InputError("model: found none, expected at least one name")
        return found

    @property
    def lanes(self) -> int:
        """Images that a process works on at once."""
        from ..cascade.lanes import cores  # late: it loads NumPy

        return self.parallel or max(1, cores() // self.workers)

    @property
    def most_held(self) -> int:
        """Bytes of bodies that a process holds at once."""
        return self.max_held or max(256 * MB, 2 * self.max_bytes)

    def to_json(self) -> str:
        """As text for another process."""
        return json.dumps(dataclasses.asdict(self))

    @staticmethod
    def from_json(text: str) -> Settings:
        """What to_json wrote."""
        facts: dict[str, Any] = json.loads(text)
        values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value
                                  for key, value in facts.items()}
        return Settings(**values)


def limit_opencv(max_pixels: int) -> None:
    """Set OpenCV's own limit of pixels, the second wall. It counts only before cv2 is imported for the first time."""
    os.environ[OPENCV_LIMIT] = str(max_pixels)


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


class Keys:
    """API keys. Only their hashes are kept; all of them are compared, each in constant time.

    Args:
        keys: the texts.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._hashes = [_hash(key.encode()) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def fit(self, key: bytes) -> bool:
        """Whether it is one of them."""
        import hmac

        given = _hash(key)
        return bool(sum([hmac.compare_digest(given, known) for known in self._hashes]))


def _hash(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def read_keys(key_file: str | None = None) -> Keys:
    """The keys in a file, one per line, and the one in the environment variable MANYFACES_API_KEY.

    Args:
        key_file: the file; None: that of the environment variable MANYFACES_API_KEY_FILE, if it is set.

    Raises:
        InputError: the file cannot be read or holds no key, or a key is too short. No message shows a key.
    """
    path = key_file or os.environ.get(KEY_FILE_VARIABLE)
    found = _checked(path, _keys_in(path)) if path else []
    if KEY_VARIABLE in os.environ:
        found += _checked(KEY_VARIABLE, _lines(os.environ[KEY_VARIABLE]) or [""])
    return Keys(found)


def _keys_in(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            found = _lines(file.read(_MOST_KEY_FILE))
    except OSError as error:
        raise InputError(f"{path}: the file of API keys cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected API keys as text, one per line") from None
    if not found:
        raise InputError(f"{path}: holds no API key, expected one per line")
    return found


def _checked(where: str, keys: list[str]) -> list[str]:
    """The keys; InputError names where they are from, and shows none."""
    for key in keys:
        if len(key) < _LEAST_KEY or not key.isascii() or not key.isprintable() or " " in key:
            raise InputError(f"{where}: an API key has {len(key)} characters, expected at least {_LEAST_KEY} of ASCII "
                             "without spaces; `openssl rand -hex 24` makes one")
    return keys


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
