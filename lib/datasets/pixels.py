"""Converts an image given as path, bytes of a file, array or PIL image to (H, W, 3) uint8 RGB."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import numpy as np

from .images import ImageError, pixel_limit, read_image

if TYPE_CHECKING:
    import PIL.Image

EXPECTED = "expected a path, the bytes of an image file, an array (H, W, 3) uint8 RGB or a PIL image"


def rgb_image(source: str | os.PathLike | bytes | bytearray | memoryview | np.ndarray | PIL.Image.Image,
              where: str = "image", limit: int = 0) -> np.ndarray:
    """Convert any kind of image to an RGB array. Transparency is left out.

    Args:
        source: a path, the bytes of a file, an array, or a PIL image. Arrays are uint8 of shape (H, W), (H, W, 1),
            (H, W, 3) RGB or (H, W, 4) RGBA. Files are rotated by their EXIF orientation. A PIL image is not, so that
            boxes fit the pixels of the caller's image.
        where: name of the image in messages when it has no path.
        limit: px (width x height) of a file, as in read_image.

    Returns:
        (H, W, 3) uint8 RGB, C-contiguous. An array that is so already is returned without a copy.

    Raises:
        ImageError: for other types, shapes and values, such as floats.
    """
    if isinstance(source, (str, os.PathLike)):
        return read_image(source, limit=limit)
    if isinstance(source, (bytes, bytearray, memoryview)):
        try:
            return read_image(source, limit=limit)
        except ImageError as error:
            raise ImageError(f"{where}: {error}") from None
    pil = sys.modules.get("PIL.Image")  # a caller with a PIL image has imported PIL
    if pil is not None and isinstance(source, pil.Image):
        return _of_pil(source, where, pixel_limit(limit))
    if not hasattr(source, "__array__") or isinstance(source, np.generic):
        raise ImageError(f"{where}: found {_kind(source)}, {EXPECTED}")
    return _of_array(np.asarray(source), where)


def _kind(source):
    name = type(source).__name__
    return f"an object of type {name}" + (
        "; cv2.imread gives None for a file that it cannot read" if source is None else "")


def _of_array(array, where):
    found = f"{where}: found an array of {array.dtype} {array.shape}"
    if array.dtype != np.uint8:
        advice = {"f": "; scale it to 0..255 and call .round().astype(np.uint8)",
                  "u": "; divide 16-bit values by 256 and call .astype(np.uint8)",
                  "b": "; a mask is not an image"}.get(array.dtype.kind, "")
        raise ImageError(f"{found}, expected uint8 with values 0..255{advice}")
    if array.ndim == 4:
        raise ImageError(f"{found}, a batch; expected one image (H, W, 3), or list(batch) for all of them")
    if array.ndim == 3 and array.shape[2] not in (1, 3, 4) and array.shape[0] in (1, 3, 4):
        raise ImageError(f"{found}, channels first; expected (H, W, 3): image.transpose(1, 2, 0)")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(f"{found}, expected (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) grey")
    if not array.size:
        raise ImageError(f"{found}, which holds no pixel")
    if array.ndim == 2:
        array = array[..., None]
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    return np.ascontiguousarray(array[..., :3])


def _of_pil(image, where, limit):
    found = f"{where}: PIL image {image.width} x {image.height} of mode {image.mode}"
    if not image.width or not image.height:
        raise ImageError(f"{found} holds no pixel")
    if getattr(image, "tile", None) and image.width * image.height > limit:  # a file that is not decoded yet
        raise ImageError(f"{found} is more than the limit of {limit:,} px; raise TEST.MAX_FILE_PIXELS if that is meant")
    try:
        if image.mode.startswith("I;16"):
            return _of_array((np.asarray(image) >> 8).astype(np.uint8), where)  # as 16-bit files are read
        if image.mode in ("I", "F"):  # their range is not known
            raise ImageError(f"{found}, expected 8 bits per channel; scale it to 0..255 and convert it to L or RGB")
        return np.ascontiguousarray(np.asarray(image.convert("RGB")))
    except ImageError:
        raise
    except Exception as error:  # PIL decodes the file only now, and it cannot convert every mode, such as La
        raise ImageError(f"{found} cannot be decoded ({error})") from None
