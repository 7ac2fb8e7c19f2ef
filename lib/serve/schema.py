"""What OpenAPI says about the answers: schemas and examples. The answers themselves are built without it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from .answers import CODES

DESCRIPTION = """Finds faces in images. Errors are JSON with a stable `code` and a `message` for the reader.
Where the service has keys, send one as `Authorization: Bearer KEY`."""
TAGS = [{"name": "detect", "description": "faces of images"},
        {"name": "operation", "description": "for load balancers and monitors"}]
_FACE = {"box": [87.6, 61.9, 214.3, 236.1], "score": 0.991,
         "landmarks": [[122.3, 131.2], [181.4, 129.7], [152.9, 166.8], [127.2, 194.1], [177.8, 193.0]]}
_FOUND = {"width": 512, "height": 512, "ms": 21.4, "threshold": 0.5, "landmarks": True, "faces": [_FACE]}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
DETECT_BODY: dict[str, Any] = {
    "required": True,
    "description": "The bytes of an image file (JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and what else OpenCV reads); its "
                   "content decides the format, not the header. Or a form with a file per image.",
    "content": {"image/*": _BYTES, "application/octet-stream": _BYTES, "multipart/form-data": {"schema": {
        "type": "object", "properties": {
            "images": {"type": "array", "items": {"type": "string", "format": "binary"}},
            "model": {"type": "string"}, "threshold": {"type": "number", "minimum": 0, "maximum": 1}},
        "required": ["images"]}}},
}
METRICS: dict[int | str, dict[str, Any]] = {200: {"description": "text format of Prometheus", "content": {
    "text/plain": {"example": 'manyfaces_requests_total{route="/v1/detect",status="200",code="ok"} 12.0\n'}}}}


class Reason(BaseModel):
    """What is wrong."""

    code: str = Field(description="stable; one of: " + ", ".join(CODES))
    message: str = Field(description="for the person who reads it")


class Error(BaseModel):
    """The answer to a request that failed."""

    error: Reason
    request: str | None = Field(None, description="the id of the request in the log, as in X-Request-ID")


class Face(BaseModel):
    """A face."""

    box: list[float] = Field(description="x1, y1, x2, y2 in px of the upright image", min_length=4, max_length=4)
    score: float = Field(description="0 to 1")
    landmarks: list[list[float] | None] | None = Field(None, description="five points x, y in px: left eye, right eye, "
                                                       "nose, left and right corner of the mouth; null: not known. "
                                                       "The key is absent where the model gives none")


class Found(BaseModel):
    """The faces of an image, best first."""

    model: str
    width: int = Field(description="px of the upright image")
    height: int
    ms: float = Field(description="decoding, net and NMS")
    threshold: float = Field(description="lowest score of a face")
    landmarks: bool = Field(description="whether the model gives landmarks")
    faces: list[Face]


class Row(BaseModel):
    """An image of a form: its faces, or its error."""

    name: str = Field(description="of the file in the form")
    width: int | None = None
    height: int | None = None
    ms: float | None = None
    threshold: float | None = None
    landmarks: bool | None = None
    faces: list[Face] | None = None
    error: Reason | None = None


class Several(BaseModel):
    """The images of a form, in its order."""

    model: str
    images: list[Row]


class Model(BaseModel):
    """A model of the service."""

    name: str
    default: bool
    family: str
    landmarks: bool
    threshold: float
    ms_per_megapixel: float = Field(description="processor time of one thread, measured at the start")


class Limits(BaseModel):
    """What a request may have."""

    max_bytes: int
    max_pixels: int
    max_images: int
    queue: int


class Models(BaseModel):
    """All models, and the limits."""

    models: list[Model]
    limits: Limits


class State(BaseModel):
    """Of the process."""

    status: str


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    found: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        codes = {code: text for code, (number, text) in CODES.items() if number == status}
        examples = {code: {"value": {"error": {"code": code, "message": text[0].upper() + text[1:] + "."},
                                     "request": "5f0c7a1e9b3d2846"}} for code, text in codes.items()}
        found[status] = {"model": Error, "description": "; ".join(f"{code}: {text}" for code, text in codes.items()),
                         "content": {"application/json": {"examples": examples}}}
    return found


def detect_responses(name: str) -> dict[int | str, dict[str, Any]]:
    """Answers of /v1/detect; `name` is that of the default model, for the examples."""
    damaged = {"code": "unreadable_image", "message": CODES["unreadable_image"][1]}
    examples = {
        "image": {"summary": "the body was an image", "value": {"model": name, **_FOUND}},
        "form": {"summary": "the body was a form", "value": {"model": name, "images": [
            {"name": "a.jpg", **_FOUND}, {"name": "b.jpg", "error": damaged}]}},
    }
    return {200: {"model": Found | Several, "description": "Faces of the image, or of each image of the form.",
                  "content": {"application/json": {"examples": examples}}},
            **_errors(400, 401, 404, 408, 413, 415, 421, 422, 500, 503)}


def models_responses(name: str) -> dict[int | str, dict[str, Any]]:
    """Answers of /v1/models."""
    example = {"models": [{"name": name, "default": True, "family": "ssh", "landmarks": True, "threshold": 0.5,
                           "ms_per_megapixel": 41.0}],
               "limits": {"max_bytes": 20_000_000, "max_pixels": 25_000_000, "max_images": 16, "queue": 32}}
    return {200: {"model": Models, "content": {"application/json": {"example": example}}}, **_errors(401, 421, 503)}


def state_responses(word: str) -> dict[int | str, dict[str, Any]]:
    """Answers of the addresses for probes."""
    return {200: {"model": State, "content": {"application/json": {"example": {"status": word}}}},
            **(_errors(503) if word == "ready" else {})}
