"""Networks with one hidden layer over the vectors of an encoder: what a text asks for, and what a sentence says.

Owns their arithmetic. Which networks there are, and what their outputs mean, is `meaning.asking` and
`reflection.labels`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class Network(NamedTuple):
    """A network of h hidden values, with one output or with o of them."""

    inner: Floats
    """Shape (dimensions, h)."""
    shift: Floats
    """Shape (h,)."""
    outer: Floats
    """Shape (h,) or (h, o)."""
    offset: Floats
    """Shape (1,) or (o,)."""

    def outputs(self, vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Return the outputs for some vectors, shape (n, dimensions): shape (n,) or (n, o)."""
        # einsum, not BLAS: BLAS starts threads, which costs more than such small products.
        hidden = np.maximum(np.einsum("nd,dh->nh", vectors, self.inner) + self.shift, 0)
        return np.asarray(np.einsum("nh,h...->n...", hidden, self.outer) + self.offset)
