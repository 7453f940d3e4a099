"""Adam: its steps, compared with those of the formula, and that it finds a minimum."""

from __future__ import annotations

import numpy as np

from tools.adam import Adam


def test_the_first_step_has_the_length_of_the_rate_whatever_the_gradient() -> None:
    values = [np.array([1.0, -2.0]), np.array([[3.0]])]
    Adam(values, decay=0.0).step([np.array([5.0, -0.01]), np.array([[1e4]])], 0.1)
    assert np.allclose(values[0], [0.9, -1.9])
    assert np.allclose(values[1], [[2.9]])


def test_decay_takes_off_a_share_of_the_values_without_a_gradient() -> None:
    value = np.array([2.0])
    Adam([value], decay=0.5).step([np.zeros(1)], 0.1)
    assert np.allclose(value, [2.0 * (1 - 0.1 * 0.5)])


def test_steps_find_the_least_error() -> None:
    value = np.zeros(3)
    wanted = np.array([1.0, -2.0, 0.5])
    adam = Adam([value], decay=0.0)
    for step in range(500):
        adam.step([value - wanted], 0.05 * (1 - step / 500))
    assert np.allclose(value, wanted, atol=1e-3)
