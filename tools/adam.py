"""Adam: the method by which the small networks of the package are fitted, with numpy.

Owns the update of the values of a network from their gradients. Knows neither the network nor its error.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MEAN, SQUARE = 0.1, 0.001
"""Share of a step in the running means of the gradients, and of their squares."""
LEAST = 1e-8
"""Added to the root of the mean square, so that it is not zero."""


class Adam:
    """Updates values in place, with weight decay apart from the gradients (AdamW)."""

    def __init__(self, values: Sequence[Floats], decay: float) -> None:
        """values: arrays that `step` changes. decay: share that a step takes off them, in steps of the rate."""
        self._values, self._decay = values, decay
        self._means = [np.zeros_like(value) for value in values]
        self._squares = [np.zeros_like(value) for value in values]
        self._steps = 0

    def step(self, gradients: Sequence[Floats], rate: float) -> None:
        """Make one step. gradients: of the error, in the order and shapes of the values."""
        self._steps += 1
        of_mean, of_square = 1 - (1 - MEAN) ** self._steps, 1 - (1 - SQUARE) ** self._steps
        for value, gradient, mean, square in zip(self._values, gradients, self._means, self._squares, strict=True):
            mean += MEAN * (gradient - mean)
            square += SQUARE * (gradient**2 - square)
            value *= 1 - rate * self._decay
            value -= rate * mean / of_mean / (np.sqrt(square / of_square) + LEAST)
