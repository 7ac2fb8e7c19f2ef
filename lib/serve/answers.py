"""Answers that are errors: a stable code for programs and a sentence for the person who reads it."""

from __future__ import annotations

import json
from typing import Any

from ..errors import printable, shortened

CODES = {
    "bad_request": (400, "the request is not valid HTTP"),
    "empty_body": (400, "the body holds no byte"),
    "bad_multipart": (400, "the multipart body is damaged, nested, or has no boundary"),
    "unauthorized": (401, "the API key is missing or wrong"),
    "not_found": (404, "there is nothing at this address"),
    "unknown_model": (404, "the service does not have the model; GET /v1/models lists those that it has"),
    "method_not_allowed": (405, "the address exists, but not for this method"),
    "timeout": (408, "the client sent its request too slowly"),
    "body_too_large": (413, "the body has more bytes than the service accepts"),
    "image_too_large": (413, "an image has more pixels than the service accepts, by its header"),
    "too_many_images": (413, "the request has more images than the service accepts"),
    "not_an_image": (415, "the bytes are of no image format that the service reads"),
    "unsupported_encoding": (415, "the body is compressed; images are sent as they are"),
    "wrong_host": (421, "the service listens on this machine only and was called by another name"),
    "bad_parameter": (422, "a parameter has a wrong value, is unknown, or is given twice"),
    "unreadable_image": (422, "the image is damaged or cut short"),
    "internal": (500, "a defect of the service; its log has the details under the request's id"),
    "busy": (503, "the queue is full; Retry-After says in how many seconds to try again"),
    "stopping": (503, "the service is shutting down"),
}
"""Code -> status, and when it is given. Codes stay; messages may change."""

MOST_HEAD = 16_384  # bytes of the head of a request
HEADERS = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"),
           (b"x-content-type-options", b"nosniff"))


class Problem(Exception):
    """A request that is answered with an error.

    Args:
        code: key of CODES.
        message: a sentence for the person who reads the answer.
        retry_after: seconds.
        allow: methods that the address has.
    """

    def __init__(self, code: str, message: str, retry_after: int | None = None, allow: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message = code, shortened(printable(message), 500)
        self.status = CODES[code][0]
        self.retry_after, self.allow = retry_after, allow

    def as_dict(self) -> dict[str, Any]:
        """{"code": ..., "message": ...}."""
        return {"code": self.code, "message": self.message}

    def body(self, **more: Any) -> bytes:
        """The JSON of the answer; `more` are further keys of it."""
        return dump({"error": self.as_dict(), **more})

    def headers(self, length: int) -> list[tuple[bytes, bytes]]:
        """Headers of the answer, whose body has this length."""
        found = [*HEADERS, (b"content-length", str(length).encode())]
        if self.retry_after is not None:
            found.append((b"retry-after", str(self.retry_after).encode()))
        if self.allow:
            found.append((b"allow", self.allow.encode()))
        if self.status == 401:
            found.append((b"www-authenticate", b'Bearer realm="manyfaces"'))
        return found

    def raw(self) -> bytes:
        """The whole answer as HTTP/1.1, for a connection without a request that could be answered."""
        import http

        body = self.body()
        lines = [f"HTTP/1.1 {self.status} {http.HTTPStatus(self.status).phrase}".encode(),
                 *(name + b": " + value for name, value in self.headers(len(body))), b"connection: close", b"", body]
        return b"\r\n".join(lines)


class Gone(Exception):
    """The client has left: there is nobody to answer."""


def dump(value: Any) -> bytes:
    """JSON as it is sent."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
