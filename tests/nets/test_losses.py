"""Losses against formulas by hand and plain loops; gradients are finite and have the right sign."""

import numpy as np
import pytest
from keras import ops

from manyfaces.boxes import decode_boxes, overlaps
from manyfaces.nets import losses


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def numbers(tensor):
    return ops.convert_to_numpy(tensor)


def random_case(seed, batch=3, anchors=60):
    rng = np.random.default_rng(seed)
    return (rng.normal(0, 3, (batch, anchors)).astype(np.float32),
            rng.choice([-1, 0, 0, 0, 1], (batch, anchors)).astype(np.int32))


def test_cross_entropy_by_hand():
    logits, faces = np.float32([0, 2, -2, 60, -60, 60]), np.float32([1, 1, 1, 1, 0, 0])
    with np.errstate(divide="ignore"):
        expected = -np.where(faces, np.log(sigmoid(logits)), np.log(1 - sigmoid(logits)))
    expected[5] = 60  # where 1 - sigmoid is 0 in floating point, but the loss is not infinite
    np.testing.assert_allclose(numbers(losses.cross_entropy(logits, faces)), expected, atol=1e-6)


@pytest.mark.parametrize("alpha, gamma", [(0.75, 2.0), (0.25, 0.5), (0.5, 0.0)])
def test_focal_loss_is_its_formula(alpha, gamma):
    logits, labels = random_case(0)
    expected = np.zeros(3)
    for b, a in np.ndindex(labels.shape):
        p = sigmoid(logits[b, a])
        if labels[b, a] == 1:
            expected[b] -= alpha * (1 - p) ** gamma * np.log(p)
        elif labels[b, a] == 0:
            expected[b] -= (1 - alpha) * p**gamma * np.log(1 - p)
    np.testing.assert_allclose(numbers(losses.focal_loss(logits, labels, alpha, gamma)), expected, rtol=1e-5)
    # Without focus and weights it is half the cross-entropy of the anchors that count.
    if gamma == 0:
        plain = (labels >= 0) * numbers(losses.cross_entropy(logits, (labels == 1).astype(np.float32)))
        np.testing.assert_allclose(expected, plain.sum(axis=1) / 2, rtol=1e-5)


def test_quality_focal_loss_is_its_formula():
    logits, labels = random_case(4)
    quality = np.random.default_rng(5).uniform(0, 1, labels.shape).astype(np.float32)
    expected = np.zeros(3)
    for b, a in np.ndindex(labels.shape):
        p, wanted = sigmoid(logits[b, a]), float(quality[b, a]) * (labels[b, a] == 1)
        if labels[b, a] >= 0:
            expected[b] -= abs(wanted - p) ** 1.5 * ((1 - wanted) * np.log(1 - p) + wanted * np.log(p))
    actual = numbers(losses.quality_focal_loss(logits, labels, quality, 1.5))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    # Where every box equals its face it is the focal loss without weights; where all is learned it is 0.
    np.testing.assert_allclose(numbers(losses.quality_focal_loss(logits, labels, np.ones_like(quality))),
                               2 * numbers(losses.focal_loss(logits, labels, 0.5)), rtol=1e-5)
    learnt = np.log(quality / (1 - quality))
    np.testing.assert_allclose(numbers(losses.quality_focal_loss(learnt, np.ones_like(labels), quality)), 0, atol=1e-6)


def hard_examples_one_by_one(logits, labels, batch, positive):
    """The rule of SSH, section 3.4, in loops."""
    mask = np.zeros(len(logits))
    faces = sorted((logit, i) for i, logit in enumerate(logits) if labels[i] == 1)[: int(batch * positive)]
    backgrounds = sorted((-logit, i) for i, logit in enumerate(logits) if labels[i] == 0)[: batch - len(faces)]
    for _, i in faces + backgrounds:
        mask[i] = 1
    return mask


@pytest.mark.parametrize("batch, positive", [(256, 0.5), (16, 0.5), (16, 0.25), (8, 1.0), (8, 0.0), (1, 0.5)])
def test_hard_examples_are_those_of_the_loop(batch, positive):
    for seed in range(8):
        logits, labels = random_case(seed)
        if seed % 2:
            logits = np.round(logits)  # ties are broken by the order of the anchors
        actual = numbers(losses.mine_hard_examples(logits, labels, batch, positive))
        expected = [hard_examples_one_by_one(*row, batch, positive) for row in zip(logits, labels, strict=True)]
        np.testing.assert_array_equal(actual, expected)


def test_hard_examples_without_faces_and_without_anchors():
    logits, _ = random_case(3, batch=2)
    nothing, background = np.full((2, 60), -1, np.int32), np.zeros((2, 60), np.int32)
    assert numbers(losses.mine_hard_examples(logits, nothing, 16, 0.5)).sum() == 0
    mined = numbers(losses.mine_hard_examples(logits, background, 16, 0.5))
    assert (mined.sum(axis=1) == 16).all()
    assert (np.where(mined > 0, logits, np.inf).min(axis=1) >= np.where(mined > 0, -np.inf, logits).max(axis=1)).all()


def test_smooth_l1_by_hand():
    # sigma 3: quadratic below 1/9, 4.5 d^2; above, d - 1/18.
    target = np.zeros((1, 5, 4), np.float32)
    predicted = np.zeros((1, 5, 4), np.float32)
    predicted[0, 1, 0], predicted[0, 2, 1], predicted[0, 3, :2], predicted[0, 4, 3] = 0.1, -0.1, (1, -2), 1 / 9
    np.testing.assert_allclose(numbers(losses.smooth_l1(predicted, target))[0],
                               [0, 0.045, 0.045, 3 - 2 / 18, 1 / 18], rtol=1e-5)
    there, back = losses.smooth_l1(predicted, target), losses.smooth_l1(target, predicted)
    np.testing.assert_allclose(numbers(there), numbers(back))
    np.testing.assert_allclose(numbers(losses.smooth_l1(predicted, target, sigma=1.0))[0, 3], 0.5 + 1.5)


def diou_of_boxes(box, other):
    """1 - IoU + centre distance^2 / diagonal^2 of the hull, of two boxes x1 y1 x2 y2."""
    wide = max(0, min(box[2], other[2]) - max(box[0], other[0]))
    high = max(0, min(box[3], other[3]) - max(box[1], other[1]))
    area = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)]
    centre = [np.array([b[0] + b[2], b[1] + b[3]]) / 2 for b in (box, other)]
    hull = np.array([max(box[2], other[2]) - min(box[0], other[0]), max(box[3], other[3]) - min(box[1], other[1])])
    return (1 - wide * high / (sum(area) - wide * high)
            + ((centre[0] - centre[1]) ** 2).sum() / (hull**2).sum())


def test_diou_is_that_of_the_boxes_themselves():
    rng = np.random.default_rng(0)
    anchors = np.concatenate([rng.uniform(0, 300, (200, 2)), np.zeros((200, 2))], axis=1).astype(np.float32)
    anchors[:, 2:] = anchors[:, :2] + rng.uniform(10, 200, (200, 1))
    target, predicted = rng.normal(0, 2, (2, 200, 4)).astype(np.float32)
    expected = [diou_of_boxes(*pair) for pair in zip(decode_boxes(predicted, anchors).astype(np.float64),
                                                     decode_boxes(target, anchors).astype(np.float64), strict=True)]
    assert min(expected) < 0.5 and max(expected) > 1, "some overlap well and some not at all"
    actual = numbers(losses.diou_loss(predicted[None], target[None]))[0]
    np.testing.assert_allclose(actual, expected, atol=2e-4)
    np.testing.assert_allclose(numbers(losses.diou_loss(target, target)), 0, atol=1e-6)
    expected = np.diag(overlaps(decode_boxes(predicted, anchors), decode_boxes(target, anchors)))
    np.testing.assert_allclose(numbers(losses.box_overlaps(predicted[None], target[None]))[0], expected, atol=2e-4)
    far = np.float32([[0, 0, 1e4, -1e4], [1e3, 0, 0, 0]])
    assert np.isfinite(numbers(losses.diou_loss(far, np.zeros((2, 4), np.float32)))).all()


def gradients(function, *arrays):
    tf = pytest.importorskip("tensorflow", reason="gradients are taken with TensorFlow here")
    tensors = [tf.constant(array) for array in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = tf.reduce_sum(function(*tensors))
    return [values.numpy() for values in tape.gradient(value, tensors)]


def test_gradients_are_finite_everywhere():
    logits = np.float32([[0, 100, -100, 1e4, -1e4]])
    for label in (-1, 0, 1):
        labels = np.full((1, 5), label, np.int32)
        (gradient,) = gradients(lambda x, labels=labels: losses.focal_loss(x, labels), logits)
        assert np.isfinite(gradient).all()
        assert (gradient == 0).all() == (label == -1)
    zero, far = np.zeros((4, 4), np.float32), np.float32([[0, 0, 0, 0], [50, 0, 0, 0], [0, 0, 90, -90], [1e4] * 4])
    for gradient in gradients(losses.diou_loss, zero, far) + gradients(losses.diou_loss, far, zero):
        assert np.isfinite(gradient).all()
    for gradient in gradients(losses.smooth_l1, zero, far):
        assert np.isfinite(gradient).all()


def test_gradients_have_the_right_sign():
    (gradient,) = gradients(lambda x: losses.focal_loss(x, np.int32([[1, 0, -1]])), np.float32([[0, 0, 0]]))
    assert gradient[0, 0] < 0 < gradient[0, 1] and gradient[0, 2] == 0
    off, target = np.float32([[1.0, 0, 0, 0]]), np.zeros((1, 4), np.float32)
    (gradient, _) = gradients(losses.diou_loss, off, target)
    assert gradient[0, 0] > 0 and abs(gradient[0, 1]) < 1e-6


# -------------------------------------------------------------- hard negatives


@pytest.mark.parametrize("seed", range(5))
def test_hard_negatives_are_all_faces_and_the_highest_backgrounds(seed):
    rng = np.random.default_rng(seed)
    logits = rng.integers(-3, 4, (4, 60)).astype(np.float32)  # integers, so that ties are common
    labels, counts = rng.integers(-1, 2, (4, 60)), np.float32([0, 3, 10.9, 1000])
    mask = ops.convert_to_numpy(losses.mine_hard_negatives(logits, labels, counts))
    for row in range(4):
        ground = sorted(np.flatnonzero(labels[row] == 0), key=lambda i: (-logits[row, i], i))[: int(counts[row])]
        np.testing.assert_array_equal(np.flatnonzero(mask[row]), sorted([*np.flatnonzero(labels[row] == 1), *ground]))
