"""Constants that several rooms must agree on."""

DEFAULT_DETECTOR = "ssh_mobilenet_v1_025"
"""The shipped detector that runs, or is trained on, where none is named."""

FILL = 114
"""Grey level outside an image: the padding of a batch, of a crop and of an augmented sample."""

FLIPPED_LANDMARKS = (1, 0, 2, 4, 3)
"""Order of the five landmarks in a mirrored image.

Landmarks are left eye, right eye, nose, left mouth corner, right mouth corner; left is the image's left.
"""

SMALL_FACE = 20
"""Height in px below which a face is small: there detectors differ most."""

HEIGHT_EDGES = (10, 16, SMALL_FACE, 32, 64, 128, 256)
"""Face heights in px at which one bin of a table ends and the next begins.

A bin includes its lower edge and excludes its upper one. COCO's and WIDER FACE's tables leave SMALL_FACE out.
"""
