"""Losses of anchor-based detectors: classification with hard example mining or focal, boxes, landmarks.

Every function works on the anchors of one module, keeps the batch axis and returns (B,). The loss of an image depends
on that image alone, so the update does not depend on how devices share the batch.
"""

import numpy as np
from keras import ops


def cross_entropy(logits, faces):
    """Binary cross-entropy of face logits; any shape, faces 0..1."""
    return ops.softplus(logits) - logits * faces


def focal_loss(logits, labels, alpha=0.75, gamma=2.0, weights=1.0):
    """Focal loss summed over the anchors of an image.

    Args:
        logits: (B, A).
        labels: (B, A): 1 face, 0 background, -1 left out.
        alpha: weight of faces; background has 1 - alpha.
        weights: (B, A), or a number, that multiplies the loss of each anchor.

    Source: arXiv 1708.02002, equation 5.
    """
    faces = ops.cast(labels == 1, logits.dtype)
    counted = ops.cast(labels >= 0, logits.dtype)
    probability = ops.sigmoid(logits)
    missing = faces * (1 - probability) + (1 - faces) * probability  # 1 - p_t
    weight = (faces * alpha + (1 - faces) * (1 - alpha)) * missing**gamma
    return ops.sum(counted * weights * weight * cross_entropy(logits, faces), axis=-1)


def quality_focal_loss(logits, labels, overlaps, gamma=2.0, weights=1.0):
    """Quality focal loss summed over the anchors of an image: scores learn to be the IoU of the box.

    A face whose box is poor gets a low score, so it loses to a face that is found and placed well.

    Args:
        logits, labels: (B, A) as in focal_loss.
        overlaps: (B, A), IoU 0..1 of the predicted box with its face; used where the label is 1.
        weights: as in focal_loss.

    Source: arXiv 2006.04388, equation 6.
    """
    wanted = ops.cast(labels == 1, logits.dtype) * overlaps
    counted = ops.cast(labels >= 0, logits.dtype)
    weight = ops.abs(wanted - ops.sigmoid(logits)) ** gamma
    return ops.sum(counted * weights * weight * cross_entropy(logits, wanted), axis=-1)


def mine_hard_examples(logits, labels, batch=256, positive=0.5, fill=True):
    """Choose the anchors of each image that learn: online hard example mining.

    The faces with the lowest and the backgrounds with the highest face score are taken. At most `positive * batch` are
    faces. Equal scores go by the order of the anchors.

    Args:
        logits, labels: (B, A) as in focal_loss.
        batch: anchors per module and image.
        positive: largest fraction of faces.
        fill: backgrounds fill the batch where faces are fewer; else they keep to the fraction that faces may not have.

    Returns:
        Mask (B, A) of 0 and 1.

    Source: SSH, arXiv 1708.03979, section 3.4.
    """
    hardest_faces = _lowest(logits, labels == 1, ops.convert_to_tensor(int(batch * positive), "int32"))
    if fill:
        room = batch - ops.sum(ops.cast(hardest_faces, "int32"), axis=-1, keepdims=True)
    else:
        room = ops.convert_to_tensor(batch - int(batch * positive), "int32")
    return ops.cast(hardest_faces | _lowest(-logits, labels == 0, room), logits.dtype)


def mine_hard_negatives(logits, labels, count):
    """Choose the anchors of each image that learn: all faces, and the backgrounds with the highest scores.

    Equal scores go by the order of the anchors.

    Args:
        logits, labels: (B, A) as in focal_loss.
        count: (B,), number of backgrounds, three times the faces in SSD; a fraction is cut off.

    Returns:
        Mask (B, A) of 0 and 1.

    Source: SSD, arXiv 1512.02325, section 2.2.
    """
    room = ops.cast(count, "int32")[:, None]
    return ops.cast((labels == 1) | _lowest(-logits, labels == 0, room), logits.dtype)


def _lowest(values, among, count):
    """Mask of the `count` lowest values (B, A) where `among`. The rank comes from two sorts, which every backend has.
    """
    far = ops.cast(np.finfo("float32").max, values.dtype)
    order = ops.argsort(ops.where(among, values, far), axis=-1)
    rank = ops.argsort(order, axis=-1)
    return among & (ops.cast(rank, "int32") < count)


def smooth_l1(predicted, target, sigma=3.0):
    """Smooth L1 summed over the last axis (Fast R-CNN, equation 3; sigma as in SSH): |d| < 1 / sigma^2 is quadratic."""
    bend = 1.0 / sigma**2
    distance = ops.abs(predicted - target)
    return ops.sum(ops.where(distance < bend, 0.5 * distance**2 / bend, distance - 0.5 * bend), axis=-1)


def diou_loss(predicted, target, variances=(0.1, 0.2)):
    """1 - IoU + squared distance of the centres over squared diagonal of the hull.

    The value does not change when both boxes are moved and scaled. So each pair is compared relative to an anchor of
    side 1 at 0. Where an anchor is not square, the distance is measured in its sides.

    Args:
        predicted, target: (..., 4) offsets from the same anchor in units of `variances`.

    Source: arXiv 1911.08287, equation 7.
    """
    overlap, distance = _overlap_and_distance(predicted, target, variances)
    return 1 - overlap + distance


def box_overlaps(predicted, target, variances=(0.1, 0.2)):
    """IoU (...) of boxes given as offsets (..., 4) from the same anchor in units of `variances`."""
    return _overlap_and_distance(predicted, target, variances)[0]


def _overlap_and_distance(predicted, target, variances):
    """IoU, and squared distance of the centres over squared diagonal of the hull."""
    (px, py, pw, ph), (tx, ty, tw, th) = (_unit_box(offsets, variances) for offsets in (predicted, target))

    def along(pc, ps, tc, ts):
        low, high = ops.maximum(pc - ps / 2, tc - ts / 2), ops.minimum(pc + ps / 2, tc + ts / 2)
        hull = ops.maximum(pc + ps / 2, tc + ts / 2) - ops.minimum(pc - ps / 2, tc - ts / 2)
        return ops.maximum(high - low, 0.0), hull

    (across, hull_x), (down, hull_y) = along(px, pw, tx, tw), along(py, ph, ty, th)
    shared = across * down
    overlap = shared / (pw * ph + tw * th - shared + 1e-9)
    return overlap, ((px - tx) ** 2 + (py - ty) ** 2) / (hull_x**2 + hull_y**2 + 1e-9)


def _unit_box(offsets, variances):
    centre = offsets[..., :2] * variances[0]
    # Early in training the exponent is anything; e^4 anchor sides are far more than a match can need.
    side = ops.exp(ops.clip(offsets[..., 2:] * variances[1], -4.0, 4.0))
    return centre[..., 0], centre[..., 1], side[..., 0], side[..., 1]
