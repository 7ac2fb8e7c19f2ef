"""From roidb to minibatch: augment, encode, assemble, load ahead.

What pays compiled exists twice: in minibatch.pyx, and as a NumPy twin in reference.py that states the
rule and serves where nothing could be compiled.
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
