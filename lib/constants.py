"""Constants that several rooms must agree on."""

FILL = 114
"""Grey level of whatever lies outside an image: the padding of a batch, of a crop and of an augmented sample."""

FLIPPED_LANDMARKS = (1, 0, 2, 4, 3)
"""Order of the five landmarks in a mirrored image.

Landmarks are left eye, right eye, nose, left mouth corner, right mouth corner; left is the image's left.
"""
