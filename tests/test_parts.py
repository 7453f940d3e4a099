"""Long sequences in parts, and computed ahead by other threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from engram.parts import ahead, in_parts


def test_parts_hold_all_items_in_their_order() -> None:
    assert list(in_parts([1, 2, 3, 4, 5], 2)) == [[1, 2], [3, 4], [5]]
    assert list(in_parts([], 2)) == []


def test_what_is_computed_ahead_comes_in_order_and_is_bounded() -> None:
    begun, release = list[int](), threading.Event()

    def square(number: int) -> int:
        begun.append(number)
        if number:
            assert release.wait(30)
        return number * number

    with ThreadPoolExecutor(4) as pool:
        results = ahead(pool, square, range(9), 3)
        assert next(results) == (0, 0)
        assert set(begun) <= {0, 1, 2}
        release.set()
        assert list(results) == [(n, n * n) for n in range(1, 9)]


def test_an_error_is_raised_at_its_item() -> None:
    with ThreadPoolExecutor(2) as pool:
        results = ahead(pool, lambda number: 1 // number, [1, 0, 1], 2)
        assert next(results) == (1, 1)
        with pytest.raises(ZeroDivisionError):
            next(results)
        assert list(ahead(pool, str, [], 2)) == []
