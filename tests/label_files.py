"""Small annotations of every format, made by tests."""

import cv2
import numpy as np

from manyfaces.datasets import READERS

BOX = "0 .5 .5 .4 .4"  # a row of YOLO
FACES = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"


def image(path, width=100, height=80):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def xml(*objects, size="", name="a.jpg"):
    return f"<annotation><filename>{name}</filename>{size}{''.join(FACES.format(*o) for o in objects)}</annotation>"


def read(form, folder, **options):
    return READERS[form](str(folder / "labels"), str(folder / "images"), **options)


def yolo(folder, content, **options):
    image(folder / "images" / "a.jpg")
    text(folder / "labels" / "a.txt", content)
    return read("yolo", folder, **options)


def as_wider(folder, boxes):
    rows = "".join(f"{x1} {y1} {x2 - x1} {y2 - y1}\n" for x1, y1, x2, y2 in boxes)
    text(folder / "labels", f"a.jpg\n{len(boxes)}\n{rows}")


def as_retinaface(folder, boxes):
    text(folder / "labels", "# a.jpg\n" + "".join(f"{a} {b} {c - a} {d - b}\n" for a, b, c, d in boxes))


def as_ssh(folder, boxes):
    text(folder / "labels", "a " + " ".join(f"{a} {b} {c - 1} {d - 1}" for a, b, c, d in boxes))


def as_voc(folder, boxes):
    text(folder / "labels" / "a.xml", xml(*(("face", *box) for box in boxes)))


def as_coco(folder, boxes):
    faces = ", ".join(f'{{"id": {i}, "image_id": 1, "category_id": 1, "bbox": [{a}, {b}, {c - a}, {d - b}]}}'
                      for i, (a, b, c, d) in enumerate(boxes))
    text(folder / "labels", f'{{"images": [{{"id": 1, "file_name": "a.jpg"}}], "annotations": [{faces}], '
                            '"categories": [{"id": 1, "name": "face"}]}')
