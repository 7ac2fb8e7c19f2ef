#!/usr/bin/env python3
"""Draw what each shipped detector finds in two pictures: those of docs/gallery.md, in docs/images/gallery.

The pictures are two public-domain portraits, and a crowd made of them. Run it again when weights have changed:
make gallery.
"""

from pathlib import Path

import cv2
import numpy as np

from manyfaces import Detector, pretrained
from manyfaces.datasets.toy.data_set import portrait_collage
from manyfaces.datasets.toy.portraits import portraits

IMAGES = Path(__file__).resolve().parent / "images"
CROWD = (760, 480)  # px


def save(path: Path, image: np.ndarray) -> None:
    """Write an RGB image as a small JPEG and print its size."""
    cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 70])
    print(f"{path.relative_to(IMAGES.parents[1])}: {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    pair = np.hstack([portrait.image[:512, :512] for portrait in portraits()])
    crowd = portrait_collage(*CROWD, seed=1)
    (IMAGES / "gallery").mkdir(exist_ok=True)
    for name in pretrained.names():
        detector = Detector.load(name)
        for picture, image in (("crowd", crowd), ("portraits", pair)):
            drawn = detector.detect(image).draw(image)
            if picture == "portraits":
                drawn = cv2.resize(drawn, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            save(IMAGES / "gallery" / f"{name}_{picture}.jpg", drawn)


if __name__ == "__main__":
    main()
