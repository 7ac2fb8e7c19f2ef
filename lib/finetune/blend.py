"""A mean of the shipped and the trained weights: it keeps most of what both know.

Source: WiSE-FT, arXiv 2109.01903, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

FRACTIONS = (0.25, 0.5, 0.75, 1.0)
"""Fractions of the trained weights that are scored."""
TOLERANCE = 0.003
"""AP that a smaller change of the net is worth."""


def blended(shipped: Sequence[np.ndarray], trained: Sequence[np.ndarray], fraction: float) -> list[np.ndarray]:
    """Per variable (1 - fraction) of the shipped values and `fraction` of the trained ones, in float32."""
    return [np.asarray(end if fraction == 1 else begin + fraction * (end - begin), np.float32)
            for begin, end in zip(shipped, trained, strict=True)]


def choose_fraction(score: Callable[[float], float], fractions: Sequence[float] = FRACTIONS
                    ) -> tuple[float, Mapping[float, float]]:
    """The smallest fraction whose score is within TOLERANCE of the best.

    Args:
        score: AP of a fraction.
        fractions: in rising order.

    Returns:
        The fraction, and the score of each.

    Examples:
        >>> choose_fraction({0.25: 0.80, 0.5: 0.899, 0.75: 0.90, 1.0: 0.89}.get)[0]
        0.5
    """
    scores = {fraction: score(fraction) for fraction in fractions}
    best = max(scores.values())
    return next(fraction for fraction in fractions if scores[fraction] >= best - TOLERANCE), scores
