"""Makes minibatches of a roidb: augmentation, encoding, and loading ahead of time.

The functions that are worth compiling exist twice: in minibatch.pyx, and as NumPy twins in reference.py. The twins
state the rules, and are used where nothing could be compiled.
"""

from ..compiled import warn_not_compiled

try:
    from .minibatch import shrink, visible_faces

    COMPILED = True
except ImportError:
    from .reference import shrink, visible_faces

    COMPILED = False
    warn_not_compiled()

__all__ = ["COMPILED", "shrink", "visible_faces"]
