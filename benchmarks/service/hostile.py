"""Hostile requests and what each of them has to be answered with."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import cv2

from .bombs import MAGIC, NO_IMAGES, claimed, many_scans, real
from .client import CLOSED, LEAVE, Answer, exchange, file_part, form, request

FORM = "multipart/form-data; boundary=b0undary"
HEAD = request(b"", content_length="50000")
_STATUS = {"ok": 200, "bad_request": 400, "empty_body": 400, "bad_multipart": 400, "unknown_model": 404,
           "not_found": 404, "method_not_allowed": 405, "timeout": 408, "body_too_large": 413, "image_too_large": 413,
           "too_many_images": 413, "not_an_image": 415, "unsupported_encoding": 415, "wrong_host": 421,
           "bad_parameter": 422, "unreadable_image": 422}
LEAKS = (b"Traceback", b".py", b".cpp", b"site-packages", b"/lib", b"/usr", b"/home", b"/tmp", b"/root", b"0x7f")
"""What no answer may hold: paths, and traces of a program."""


@dataclass
class Case:
    """A hostile request.

    Attributes:
        kind: heading in the table.
        name: of the case.
        pieces: as `exchange` takes them.
        codes: codes of the error one of which is right; `closed`: the connection ends without an answer.
    """

    kind: str
    name: str
    pieces: tuple[Any, ...]
    codes: tuple[str, ...]
    answer: Answer = field(default=CLOSED)

    def run(self, port: int) -> Case:
        """The case with its answer."""
        self.answer = exchange(port, *self.pieces, timeout=90)
        return self

    def wrong(self) -> str:
        """What is wrong with the answer; empty: nothing."""
        code = self.answer.code
        if code not in self.codes:
            return f"{code}, expected {' or '.join(self.codes)}"
        if code != "closed" and self.answer.status != _STATUS[code]:
            return f"{code} with the status {self.answer.status}, expected {_STATUS[code]}"
        leaks = [leak.decode() for leak in LEAKS if leak in self.answer.body]
        return f"its answer holds {leaks[0]}" if leaks else ""


def cases(image: bytes, max_bytes: int, max_pixels: int, max_images: int, bomb_side: int) -> Iterator[Case]:
    """All of them.

    Args:
        image: a file with a face.
        max_bytes, max_pixels, max_images: limits of the service.
        bomb_side: px of the bombs that are really encoded.
    """
    yield from _bombs(max_bytes, max_pixels, bomb_side)
    yield from _cut(image)
    for name, data in {**NO_IMAGES, **{f"magic of {key}": value for key, value in MAGIC.items()}}.items():
        yield Case("no image", name, (request(data),), ("not_an_image", "unreadable_image"))
    yield from _large(max_bytes)
    yield from _forms(image, max_images)
    yield from _http(image)
    yield from _slow(image)


def _bombs(max_bytes, max_pixels, side):
    for ending, data in real(side).items():
        yield Case("bomb", f"{ending}, {side} px, {len(data):,} bytes", (request(data),),
                   ("image_too_large", "body_too_large")[: 1 + (len(data) > max_bytes)])
        yield Case("bomb", f"{ending} in a form", (request(form([file_part("a", data)]), content_type=FORM),),
                   ("image_too_large", "body_too_large")[: 1 + (len(data) > max_bytes - 500)])
    for claim in (int(max_pixels**0.5) + 1, 60_000):
        for ending, data in claimed(claim).items():
            yield Case("bomb", f"{ending} that claims {claim} px", (request(data),), ("image_too_large",))
    for count in (120, 480):
        data = many_scans(int(max_pixels**0.5), count)
        yield Case("bomb", f".jpg of {count} scans", (request(data),), ("unreadable_image",))
    for ending, data in claimed((1 << 31) - 1).items():
        yield Case("bomb", f"{ending} that claims 2^31 px", (request(data),), ("image_too_large", "unreadable_image"))


def _cut(image):
    decoded = cv2.imdecode(_array(image), cv2.IMREAD_COLOR)
    for ending in (".jpg", ".png", ".webp", ".gif", ".bmp", ".tiff"):
        data = cv2.imencode(ending, decoded)[1].tobytes()
        for tenths in (1, 5, 9):
            # GIF and TIFF keep what was there: OpenCV decodes the rows that it has.
            yield Case("cut image", f"{ending} after {tenths}/10", (request(data[: len(data) * tenths // 10]),),
                       ("unreadable_image", *(("ok",) if ending in (".gif", ".tiff", ".bmp") else ())))
    for sent in (0, 1, 999):
        yield Case("cut body", f"the client leaves after {sent} bytes", (HEAD, bytes(sent), LEAVE), ("closed",))
    yield Case("cut body", "the client leaves while its image is searched", (request(image), LEAVE), ("closed",))
    yield Case("cut body", "the client leaves within the head", (HEAD[:40], LEAVE), ("closed",))


def _large(most):
    def stream(count, head=b"", tail=b""):
        piece = head + bytes(65536) + tail
        return iter([piece] * (count // 65536))

    big = 100_000_000
    yield Case("100 MB", "with Content-Length", (request(content_length=str(big)), stream(big)), ("body_too_large",))
    chunked = request(content_length=None, transfer_encoding="chunked")
    yield Case("100 MB", "without Content-Length", (chunked, stream(big, b"10000\r\n", b"\r\n")), ("body_too_large",))
    yield Case("100 MB", "with Expect: 100-continue", (request(content_length=str(big), expect="100-continue"),),
               ("body_too_large",))
    yield Case("100 MB", "one byte too many", (request(bytes(most + 1)),), ("body_too_large",))
    yield Case("100 MB", "a form", (request(content_type=FORM, content_length=str(big)), stream(big)),
               ("body_too_large",))
    for length in ("9" * 17, "9" * 19):
        yield Case("100 MB", f"claims {length}", (request(content_length=length),), ("body_too_large", "bad_request"))
    yield Case("100 MB", "gzip", (request(b"\x1f\x8b" + bytes(99), content_encoding="gzip"),),
               ("unsupported_encoding",))
    yield Case("100 MB", "nothing", (request(),), ("empty_body",))


def _forms(image, most):
    good = file_part("a.jpg", image)
    text = 'Content-Disposition: form-data; name="images"'

    def case(name, body, code, kind=FORM):
        return Case("form", name, (request(body, content_type=kind),), (code,))

    for count in (most + 1, 5_000):
        yield case(f"{count} parts", form([(text, b"x")] * count), "too_many_images")
    yield case("5,000 parts with a name of a parameter", form([('Content-Disposition: form-data; name="model"', b"x")]
                                                              * 5_000), "bad_multipart")
    yield case("nested", form([(f"{text}\r\nContent-Type: multipart/mixed; boundary=c", b"--c--")]), "bad_multipart")
    yield case("no boundary in Content-Type", form([good]), "bad_multipart", "multipart/form-data")
    yield case("empty boundary", form([good]), "bad_multipart", 'multipart/form-data; boundary=""')
    yield case("boundary of 999 characters", form([good]), "bad_multipart",
               f"multipart/form-data; boundary={'b' * 999}")
    yield case("another boundary", form([good], "other"), "bad_multipart")
    yield case("boundary of the pattern kind", form([good]), "bad_multipart", "multipart/form-data; boundary=(.*)*")
    yield case("multipart/mixed", form([good]), "bad_multipart", "multipart/mixed; boundary=b0undary")
    yield case("no end", form([good], end=False)[:-9], "bad_multipart")
    yield case("only an end", form([]), "bad_multipart")
    yield case("only a boundary", b"--b0undary", "bad_multipart")
    yield case("nothing", b"", "bad_multipart")
    yield case("a part without headers", b"--b0undary\r\n\r\nx\r\n--b0undary--\r\n", "bad_multipart")
    yield case("a part without Content-Disposition", form([("X: y", b"x")]), "bad_multipart")
    yield case("headers of 100 kB", form([("X: " + "y" * 100_000, b"x")]), "bad_multipart")
    yield case("headers without an end", b"--b0undary\r\n" + b"X: y\r\n" * 9_000, "bad_multipart")
    yield case("base64", form([(f"{text}\r\nContent-Transfer-Encoding: base64", b"aGk=")]), "bad_multipart")
    yield case("an empty file", form([file_part("a", b"")]), "empty_body")
    yield case("a threshold that is none", form([('Content-Disposition: form-data; name="threshold"', b"nan"), good]),
               "bad_parameter")
    yield case("a model that is none", form([('Content-Disposition: form-data; name="model"', b"../x"), good]),
               "unknown_model")
    yield case("only text", form([(text, b"x")]), "not_an_image")
    yield case("a folder in a file's name", form([file_part("../../usr/lib/x.py/a.jpg", image)]), "ok")
    yield case("a name of control characters", form([file_part("\t\x01\x7f", image)]), "ok")
    yield case("text before and behind", b"preamble\r\n" + form([good]) + b"epilogue", "ok")
    yield case("lines that begin as the boundary does", form([file_part("a", b"\r\n--b0undaryx" * 20_000)]),
               "not_an_image")
    yield case("half of a boundary 50,000 times", b"--b0undary\r\n" + b"\r\n--b0undar" * 50_000, "bad_multipart")


def _http(image):
    def case(name, data, *codes):
        return Case("HTTP", name, (data,), codes)

    get = {"method": "GET", "content_length": None}
    yield case("no request line", b"hello\r\n\r\n", "bad_request")
    yield case("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(200), "bad_request")
    yield case("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "bad_request", "method_not_allowed", "wrong_host")
    yield case("no Host", b"GET /healthz HTTP/1.1\r\n\r\n", "bad_request")
    yield case("a head of 100 kB", request(path="/" + "a" * 100_000, **get), "bad_request")
    yield case("10,000 headers", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",
               "bad_request")
    yield case("a length below 0", request(content_length="-1"), "bad_request")
    yield case("a length of no digits", request(content_length="ten"), "bad_request")
    yield case("two lengths", request(b"", content_length="5\r\ncontent-length: 6") + b"12345", "bad_request")
    yield case("a length and chunks", request(content_length="5", transfer_encoding="chunked") + b"0\r\n\r\n",
               "bad_request", "empty_body")
    yield case("an unknown encoding of the transfer", request(content_length=None, transfer_encoding="gzip"),
               "bad_request")
    chunked = request(content_length=None, transfer_encoding="chunked")
    yield case("a chunk of no number", chunked + b"zz\r\n", "bad_request")
    yield case("a chunk of 2^64 bytes", chunked + b"ffffffffffffffff1\r\n" + bytes(99), "bad_request", "timeout")
    yield case("a chunk below 0", chunked + b"-5\r\nhello\r\n", "bad_request")
    yield case("no chunk", chunked + b"0\r\n\r\n", "empty_body")
    yield case("a line end in a header", request(image, x="a\r\n b"), "bad_request", "ok")
    yield case("another host", request(image, host="attacker.example"), "wrong_host")
    yield case("no method of ours", request(image, method="BREW"), "method_not_allowed")
    yield case("TRACE", request(b"", "/", "TRACE"), "method_not_allowed")
    yield case("CONNECT", b"CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n", "wrong_host", "not_found",
               "bad_request")
    yield case("a web socket", request(b"", "/v1/detect", **get, connection="upgrade", upgrade="websocket"),
               "method_not_allowed")
    for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/%00", "/v1/detect/", "//v1//detect",
                 "/models/../x", "/browser/ort/../../../etc/passwd", "/.git/config", "/docs", "/%ff%fe",
                 "/static/%5c..%5c"):
        yield case(f"GET {path}", request(b"", path, **get), "not_found")
    for query, code in itertools.chain(
            ((f"threshold={value}", "bad_parameter")
             for value in ("nan", "inf", "-1", "1.1", "", "0x1", "[]", "1e999")),
            ((f"model={value}", "unknown_model") for value in ("%00", "/etc/passwd", "..", "SSH", "%F0%9F%98%80"))):
        yield case(f"?{query}", request(image, f"/v1/detect?{query}"), code)


def _slow(image):
    def trickle(data, pause):
        return iter([piece for at in range(len(data)) for piece in (data[at : at + 1], pause)])

    def case(name, *pieces, codes=("timeout",)):
        return Case("slow", name, pieces, codes)

    for number in range(10):
        yield case(f"stalls in the body, {number}", HEAD, bytes(number))
        yield case(f"stalls in the head, {number}", HEAD[: 10 + number])
        yield case(f"sends nothing, {number}", codes=("closed",))
    for number in range(3):
        yield case(f"a byte of the body at a time, {number}", HEAD, trickle(bytes(150), 0.1))
        yield case(f"a byte of the head at a time, {number}", trickle(HEAD * 2, 0.1))
    form_head = request(content_type=FORM, content_length="5000")
    yield case("stalls in a form", form_head, b'--b0undary\r\nContent-Disposition: form-data; name="a"\r\n')
    yield case("stalls in a chunk", request(content_length=None, transfer_encoding="chunked"), b"ffff\r\nabc")
    yield case("an image in pieces, in time", request(content_length=str(len(image))), image[:999], 0.2, image[999:],
               codes=("ok",))


def _array(data):
    import numpy as np

    return np.frombuffer(data, np.uint8)


def run(port: int, hostile: list[Case], at_once: int = 64) -> list[Case]:
    """All cases with their answers: the slow ones at once, since they only wait, the others one after the other."""
    slow = [case for case in hostile if case.kind == "slow"]
    with ThreadPoolExecutor(at_once) as pool:
        waiting = pool.map(lambda case: case.run(port), slow)
        done = [case.run(port) for case in hostile if case.kind != "slow"]
        return done + list(waiting)
