"""Signs that prediction files have lost something on their way, and what such losses cost.

An average precision says nothing of rounded boxes or cut scores, but it pays for them. The costs that are quoted were
measured with the official protocol on one set of real detections, once as it was and once with the loss.
"""

import numpy as np

from .ground_truth import SETTINGS

AS_IT_WAS = "87.9 / 82.4 / 65.1"
WHOLE_BOXES, UNSORTED = "86.5 / 81.4 / 64.1", "47.6 / 56.2 / 53.7"
THRESHOLD, SATURATED = "84.6 / 77.5 / 57.9", "77.4 / 75.8 / 61.9"
FEW = 100  # predictions from which nothing is concluded


def prediction_warnings(matches, files):
    """What looks lost in a set of predictions: a list of sentences, each with its cost (easy / medium / hard AP in %).

    matches: of match_wider; files: list with an (N, 5) array x y w h score, or None, for each of matches.images.
    """
    said = list(_missing(matches, files))
    rows = [found for found in files if found is not None and len(found)]
    if not rows:
        return [*said, "there is no prediction at all"]
    sizes = np.array([len(found) for found in rows])
    image, rows = np.repeat(np.arange(len(rows)), sizes), np.concatenate(rows)
    scores = rows[:, 4]
    low, high = scores.min(), scores.max()
    if low == high:
        # What is said below of scores would only say this again.
        return [*said, f"all {len(scores):,} scores are equal ({low:g}): each counts as 1, where the official tools "
                       "divide 0 by 0 and find nothing"]
    if len(rows) < FEW:
        return said
    if (rows[:, :4] == np.rint(rows[:, :4])).all():
        said.append(f"all boxes are whole numbers; boxes cut by int() scored {WHOLE_BOXES} instead of {AS_IT_WAS}: "
                    "write them as floats")
    if low >= 0.3 and high <= 1:
        said.append(f"no score is under {low:.2g}; a score threshold of 0.5 scored {THRESHOLD} instead of {AS_IT_WAS}: "
                    "keep detections from 0.02 on")
    said += _scores(matches, len(rows))
    rising = (scores[1:] > scores[:-1]) & (image[1:] == image[:-1])
    if rising.any():
        said.append(f"{len(np.unique(image[1:][rising])):,} of {len(files):,} files are not sorted by score: they are "
                    f"sorted here, as by the official tools. A port that does not sort found {UNSORTED} instead of "
                    f"{AS_IT_WAS}")
    return said + list(_capped(matches, sizes))


def _missing(matches, files):
    missing = {index for index, found in enumerate(files) if found is None}
    if missing:
        lost = matches.counted[np.isin(matches.owner, list(missing))].sum(axis=0)
        parts = [f"{part / max(1, total):.1%}" for part, total in zip(lost, matches.faces.values(), strict=True)]
        yield (f"{len(missing):,} of {len(files):,} images have no prediction file: their faces are missed, "
               f"{' / '.join(parts)} of those that count (--subset leaves such images out)")


def _scores(matches, count):
    distinct = len(matches.ranks[2])
    if distinct <= min(1001, count / 2):
        yield (f"only {distinct:,} distinct scores for {count:,} predictions: scores that tie enter together. Rounded "
               "to two digits they cost 0.2 to 0.3, to one digit 2 points: write 5 digits or more")
    # Of the detections that find a face, those in the first of the 1,000 steps from the highest score down.
    share = np.mean(matches.stretched[matches.first] >= 0.999) if matches.first.any() else 0
    if share >= 0.4:
        yield (f"{share:.0%} of the detections that find a face score within a thousandth of the highest: their order "
               f"is lost in the first threshold. Strongly saturated scores gave {SATURATED} instead of {AS_IT_WAS}; "
               f"without thresholds it is {' / '.join(_exact(matches))} here")


def _exact(matches):
    from ..curve import curve_of  # which imports this module

    return [f"{100 * curve_of(matches, matches.counted[:, k]).exact:.1f}" for k in range(len(SETTINGS))]


def _capped(matches, sizes):
    most = int(sizes.max())
    faces = np.zeros((len(matches.images), matches.counted.shape[1]), int)
    np.add.at(faces, matches.owner, matches.counted)
    beyond = np.maximum(faces - most, 0).sum(axis=0)
    if (sizes == most).sum() >= 3 and beyond.any():
        parts = [f"{part / max(1, total):.1%}" for part, total in zip(beyond, matches.faces.values(), strict=True)]
        yield (f"no file holds more than {most:,} boxes, and {(sizes == most).sum():,} hold just as many: "
               f"{' / '.join(parts)} of the faces that count cannot be found so. Keep 750 or more")
