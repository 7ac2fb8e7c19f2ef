"""The readers on the complete official annotations, and on real images."""

import numpy as np
import pytest

from manyfaces.datasets import READERS, image_size, read_image, statistics


def test_the_official_train_mat(shared_dir):
    found = statistics(READERS["wider"](str(shared_dir / "data/wider_official/wider_face_train.mat"), None))
    assert (found["images"], found["annotated"]) == (12880, 159424)
    assert found["dropped"] == {"faces without area": 31} and found["ignored by reason"] == {"invalid": 2399}


def test_the_official_mat_and_txt_of_val_are_the_same_roidb(shared_dir):
    folder = shared_dir / "data/wider_official"
    mat = READERS["wider"](str(folder / "wider_face_val.mat"), None)
    txt = READERS["wider"](str(folder / "wider_face_val_bbx_gt.txt"), None)
    assert len(mat) == len(txt) == 3226 and mat.dropped == txt.dropped == {"faces without area": 11}
    for a, b in zip(mat.records, txt.records, strict=True):
        assert a.image == b.image and a.attributes.keys() == b.attributes.keys()
        np.testing.assert_array_equal(a.boxes, b.boxes)
        np.testing.assert_array_equal(a.ignore, b.ignore)
        for key, values in a.attributes.items():
            np.testing.assert_array_equal(values, b.attributes[key])


@pytest.mark.parametrize(("form", "images", "labels", "counts"), [
    ("retinaface", "wider/WIDER_train/images", "wider/wider_face_split/retinaface_train_label.txt", (1582, 5832)),
    ("wider", "wider/WIDER_train/images", "wider/wider_face_split/wider_face_train_bbx_gt.txt", (1582, 5832)),
    ("wider", "wider/WIDER_val/images", "wider/wider_face_split/wider_face_val_bbx_gt.txt", (199, 471)),
    ("voc", "facemask/images", "facemask/annotations", (853, 4072))])
def test_real_sets_are_found_whole(form, images, labels, counts, shared_dir):
    classes = {"classes": ["with_mask", "without_mask", "mask_weared_incorrect"]} if form == "voc" else {}
    roidb = READERS[form](str(shared_dir / "data" / labels), str(shared_dir / "data" / images), **classes)
    found = statistics(roidb)
    assert (found["images"], found["faces"]) == counts and found["dropped"] == {} and roidb.notes == []
    for record in roidb.records[::97]:
        assert read_image(record.path).shape[1::-1] == (record.width, record.height) == image_size(record.path)


def test_landmarks_stand_in_the_order_of_the_image(shared_dir):
    roidb = READERS["retinaface"](str(shared_dir / "data/wider/wider_face_split/retinaface_train_label.txt"), None)
    points = np.concatenate([record.landmarks for record in roidb.records])
    points = points[np.isfinite(points).all(axis=(1, 2))]
    assert len(points) == 4342
    assert np.mean(points[:, 0, 0] < points[:, 1, 0]) > 0.95 and np.mean(points[:, 3, 0] < points[:, 4, 0]) > 0.95
    assert np.mean(points[:, 0, 1] < points[:, 3, 1]) > 0.99
