"""What waits to be written is bounded in each namespace, and in all together."""

from __future__ import annotations

from dataclasses import dataclass

from engram.serve.waiting import MAX_BYTES, NAMESPACE_BYTES, WaitingRoom


@dataclass
class Item:
    weight: int = 1
    characters: int = 10


def test_large_texts_of_one_namespace_leave_room_for_others() -> None:
    room, large = WaitingRoom(1_000), Item(characters=NAMESPACE_BYTES)
    for _ in range(2):
        assert room.has_room("ana", large)
        room.enter("ana", large)
    assert not room.has_room("ana", large)
    assert not room.has_room("ana", Item())
    assert room.has_room("bob", large)


def test_all_namespaces_together_are_bounded() -> None:
    room, large, names = WaitingRoom(1_000), Item(characters=MAX_BYTES), iter(range(100))
    entered = []
    while room.has_room(name := f"name {next(names)}", large):
        room.enter(name, large)
        entered.append(name)
    assert len(entered) == 8
    assert room.is_full()
    room.leave(entered[0], large)
    assert not room.is_full()
    assert room.has_room("another", Item())


def test_namespace_that_left_has_its_whole_room_again() -> None:
    room = WaitingRoom(2)
    for _ in range(3):
        assert room.has_room("ana", Item())
        room.enter("ana", Item())
        room.enter("ana", Item())
        assert not room.has_room("ana", Item())
        room.leave("ana", Item())
        room.leave("ana", Item())
