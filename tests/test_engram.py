"""Engrams: limits, identity and times."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest

from engram.engram import MAX_METADATA_BYTES, MAX_NAME_BYTES, MAX_TEXT_BYTES, draft
from engram.errors import EngramError, InvalidEngram
from engram.ids import uuid7, uuid7_of


def test_fields_have_defaults() -> None:
    engram = draft("hello")
    assert (engram.namespace, engram.session, engram.role, engram.kind) == ("default", "default", "user", "turn")
    assert engram.speaker is engram.source is None
    assert engram.metadata == {}
    assert engram.at == engram.recorded_at
    assert abs(engram.at - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"text": ""}, "text is empty"),
        ({"text": 5}, "text is int; it must be str"),
        ({"text": "x" * (MAX_TEXT_BYTES + 1)}, "text is 1,048,577 bytes of UTF-8; the limit is 1,048,576"),
        ({"text": "\u00e9" * (MAX_TEXT_BYTES // 2 + 1)}, "the limit is 1,048,576"),
        ({"text": "ok \ud800"}, "text holds a lone surrogate at character 3"),
        ({"text": "ok \0"}, "text holds a NUL character at character 3; remove it"),
        ({"speaker": "\0Ana"}, "speaker holds a NUL character at character 0"),
        ({"metadata": {"a": {"b": ["c\0"]}}}, r"metadata\['a'\]\['b'\]\[0\] holds a NUL character at character 1"),
        ({"metadata": {"a": {"b\0": 1}}}, r"a key of metadata\['a'\] holds a NUL character at character 1"),
        ({"namespace": ""}, "namespace is empty"),
        ({"session": "s" * (MAX_NAME_BYTES + 1)}, "session is 513 bytes of UTF-8; the limit is 512"),
        ({"speaker": ""}, "speaker is empty"),
        ({"source": "\udfff"}, "source holds a lone surrogate"),
        ({"kind": None}, "kind is NoneType"),
        ({"role": "boss"}, "role is 'boss'; it must be one of user, assistant, system, tool"),
        ({"at": "today"}, "at is str; it must be datetime"),
        ({"at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))}, "no time in UTC"),
        ({"id": "12"}, "id is '12'; it must be a UUID"),
        ({"metadata": {"x": object()}}, "metadata is not JSON"),
        ({"metadata": {1: "x"}}, "metadata changes"),
        ({"metadata": {"x": (1, 2)}}, "metadata changes"),
        ({"metadata": {"x": float("nan")}}, "metadata is not JSON"),
        ({"metadata": {"x": "\ud800"}}, "metadata holds a lone surrogate"),
        ({"metadata": [1]}, "metadata is list"),
        ({"metadata": {"x": "y" * MAX_METADATA_BYTES}}, "the limit"),
    ],
)
def test_error_names_the_field_and_the_limit(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        draft(**({"text": "fine"} | fields))  # type: ignore[arg-type]
    assert isinstance(caught.value, InvalidEngram)
    assert isinstance(caught.value, EngramError)


def test_deeply_nested_metadata_is_refused() -> None:
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"x": deep}
    with pytest.raises(InvalidEngram, match="metadata"):
        draft("x", metadata=deep)


def test_metadata_that_only_looks_like_a_nul_is_allowed() -> None:
    assert draft("x", metadata={"a": "\\u0000"}).metadata == {"a": "\\u0000"}


def test_values_at_the_limits_are_allowed() -> None:
    engram = draft("x" * MAX_TEXT_BYTES, namespace="n" * MAX_NAME_BYTES, speaker="\u00e9" * (MAX_NAME_BYTES // 2))
    assert len(engram.text) == MAX_TEXT_BYTES


def test_times_are_converted_to_utc() -> None:
    west = datetime(2026, 3, 2, 9, tzinfo=timezone(timedelta(hours=-5)))
    assert draft("x", at=west).at == datetime(2026, 3, 2, 14, tzinfo=UTC)
    assert draft("x", at=datetime(2026, 3, 2, 9)).at == datetime(2026, 3, 2, 9, tzinfo=UTC)  # noqa: DTZ001


def test_ids_are_ascending_uuid7() -> None:
    ids = [uuid7() for _ in range(5000)]
    assert ids == sorted(set(ids))
    one = uuid.UUID(ids[0])
    assert (one.version, one.variant, str(one)) == (7, uuid.RFC_4122, ids[0])


def test_id_of_a_key_depends_on_the_key_alone() -> None:
    at = datetime(2026, 3, 2, tzinfo=UTC)
    one = uuid7_of(at, b"a" * 16)
    assert one == uuid7_of(at, b"a" * 16) != uuid7_of(at, b"b" * 16)
    assert uuid.UUID(one).version == 7
    assert uuid7_of(datetime(1066, 1, 1, tzinfo=UTC), b"a" * 16) < one < uuid7()


def test_id_in_any_form_becomes_canonical() -> None:
    one = uuid.uuid4()
    for form in (one, str(one).upper(), one.hex, f"{{{one}}}", one.urn):
        assert draft("x", id=form).id == str(one)


def test_engrams_compare_by_value_and_are_frozen() -> None:
    engram = draft("x", metadata={"a": [1]})
    assert engram == draft("x", id=engram.id, at=engram.at, recorded_at=engram.recorded_at, metadata={"a": [1]})
    assert hash(engram)
    with pytest.raises(AttributeError):
        engram.text = "y"  # type: ignore[misc]
