"""The rules of WIDER FACE a second time, as loops over single numbers: slow and simple.

They follow the description of the official MATLAB tools and share no code with manyfaces.evaluation. `random_set` makes
small sets in which boxes, scores and IoUs tie.
"""

import numpy as np

from manyfaces.evaluation import GroundTruth

SETTINGS = ("easy", "medium", "hard")


def overlap(a, b):
    """Intersection over union of two x y w h boxes whose sides include the last pixel."""
    ax, ay, bx, by = a[0] + a[2], a[1] + a[3], b[0] + b[2], b[1] + b[3]
    width, height = min(ax, bx) - max(a[0], b[0]) + 1, min(ay, by) - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((ax - a[0] + 1) * (ay - a[1] + 1) + (bx - b[0] + 1) * (by - b[1] + 1) - both)


def score_range(predictions, truth):
    """Lowest and highest score of all files of images that are in the ground truth; None without any."""
    scores = []
    for image in truth:
        rows = predictions.get(image.event, {}).get(image.name)
        if rows is not None:
            scores += [row[4] for row in rows.tolist()]
    return (min(scores), max(scores)) if scores else None


def stretch(score, ends):
    return 1.0 if ends[0] == ends[1] else (score - ends[0]) / (ends[1] - ends[0])


def walk(rows, boxes, counted):
    """For each prediction of an image in falling score: is it a proposal, and the number of faces recalled so far."""
    taken, proposal, recalled = [0] * len(boxes), [], []
    for row in rows:
        overlaps = [overlap(row, box) for box in boxes]
        best = overlaps.index(max(overlaps))
        proposal.append(1)
        if overlaps[best] >= 0.5:
            if not counted[best]:
                taken[best] = proposal[-1] = -1
            elif taken[best] == 0:
                taken[best] = 1
        recalled.append(taken.count(1))
    return proposal, recalled


def images_to_score(predictions, truth):
    """The images that the official tools evaluate, each with its predictions in falling score."""
    for image in truth:
        rows = predictions.get(image.event, {}).get(image.name)
        if rows is not None and len(rows) and len(image.boxes):
            yield image, sorted(rows.tolist(), key=lambda row: -row[4])


def curve(predictions, truth, setting):
    """Precisions and recalls at the 1,000 thresholds; precision 0 where there is no proposal."""
    ends, faces = score_range(predictions, truth), sum(int(image.counted[setting].sum()) for image in truth)
    table = [[0, 0] for _ in range(1000)]
    for image, rows in images_to_score(predictions, truth):
        proposal, recalled = walk(rows, image.boxes.tolist(), image.counted[setting].tolist())
        normal = [stretch(row[4], ends) for row in rows]
        inside = kept = 0
        for k in range(1000):
            while inside < len(rows) and normal[inside] >= 1 - (k + 1) / 1000:
                kept += proposal[inside] == 1
                inside += 1
            if inside:
                table[k][0] += kept
                table[k][1] += recalled[inside - 1]
    precision = [hits / proposals if proposals else 0.0 for proposals, hits in table]
    return precision, [hits / faces if faces else 0.0 for _, hits in table]


def area(precision, recall):
    """VOC's average precision: the envelope from the right, then its steps."""
    precision, recall = [0.0, *precision, 0.0], [0.0, *recall, 1.0]
    for i in range(len(precision) - 2, -1, -1):
        precision[i] = max(precision[i], precision[i + 1])
    return sum((recall[i] - recall[i - 1]) * precision[i] for i in range(1, len(recall)))


def average_precision(predictions, truth, setting):
    return area(*curve(predictions, truth, setting))


def exact(predictions, truth, setting):
    """Average precision with every distinct score as a threshold."""
    faces, marks = sum(int(image.counted[setting].sum()) for image in truth), []
    for image, rows in images_to_score(predictions, truth):
        proposal, recalled = walk(rows, image.boxes.tolist(), image.counted[setting].tolist())
        for i, row in enumerate(rows):
            marks.append((row[4], proposal[i] == 1, recalled[i] - (recalled[i - 1] if i else 0)))
    precision, recall = [], []
    for threshold in sorted({mark[0] for mark in marks}, reverse=True):
        inside = [mark for mark in marks if mark[0] >= threshold]
        proposals, hits = sum(mark[1] for mark in inside), sum(mark[2] for mark in inside)
        precision.append(hits / proposals if proposals else 0.0)
        recall.append(hits / faces if faces else 0.0)
    return area(precision, recall)


def random_set(rng):
    """predictions, ground truth: up to three images on a lattice of halves, with ties, sides <= 0 and missing files.

    rng: numpy Generator. At least one image has a file.
    """
    predictions, truth = {}, []
    levels, fine = rng.integers(1, 8), rng.random() < 0.3
    for index in range(rng.integers(1, 4)):
        boxes = lattice(rng, rng.integers(0, 6))
        near = boxes[rng.integers(0, len(boxes), rng.integers(0, 6))] if len(boxes) else boxes
        near = near + rng.integers(-1, 2, near.shape) / 2
        rows = np.concatenate([near, lattice(rng, rng.integers(0, 3))])
        rows = rows[rng.permutation(len(rows))]
        if fine:
            rows = rows + rng.normal(0, 0.2, rows.shape)
        scores = rng.random(len(rows)) if fine else rng.integers(0, levels, len(rows)) / 4 - 0.5
        least = np.sort(rng.integers(0, 5, 3))[::-1]
        draw = rng.integers(0, 5, len(boxes))
        truth.append(GroundTruth(f"e{index % 2}", f"n{index}", boxes,
                                 {s: draw >= low for s, low in zip(SETTINGS, least, strict=True)}))
        if index == 0 or rng.random() < 0.8:
            predictions.setdefault(f"e{index % 2}", {})[f"n{index}"] = np.column_stack([rows, scores])
    return predictions, truth


def lattice(rng, count):
    """(count, 4) x y w h on a lattice of halves, close together, some with a side <= 0."""
    boxes = np.column_stack([rng.integers(-4, 16, (count, 2)), rng.integers(2, 14, (count, 2))]) / 2
    flat = rng.random(count) < 0.1
    boxes[flat, rng.integers(2, 4)] = rng.integers(-4, 1) / 2
    return boxes


def boxes_and_near(rng, most, reach, largest, noise):
    """Random boxes (N, 4) x y w h, N < most, and 60 copies of them that are a little off.

    Args:
        reach: corners are within -reach..reach px.
        largest: sides are up to e ** largest px.
        noise: standard deviation of the copies, as a fraction of the sides.
    """
    count = int(rng.integers(0, most))
    sides = np.exp(rng.uniform(0, rng.uniform(0.1, largest), (count, 2)))
    boxes = np.concatenate([rng.uniform(-reach, reach, (count, 2)), sides], axis=1)
    near = boxes[rng.integers(0, count, 60)] if count else np.zeros((0, 4))
    return boxes, near + rng.normal(0, noise, near.shape) * np.tile(near[:, 2:], 2)
