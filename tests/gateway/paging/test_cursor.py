"""Cursors: their content, and that only issued cursors are accepted."""

from __future__ import annotations

import hashlib
import string
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import InvalidCursor
from gateway.paging import cursor
from gateway.paging.cursor import Cursor, CursorSnapshot, ViewMark
from gateway.snapshots.snapshot import Snapshot
from gateway.snapshots.snapshot_digest import MAX_SERVICES

ALPHABET = string.ascii_letters + string.digits + "-_"
QUESTION = hashlib.blake2b(b"question", digest_size=8).digest()

# The number of rows of a query: ``offset`` is a GraphQL Int.
OFFSETS = st.integers(0, 2**31 - 1)
FINGERPRINTS = st.binary(min_size=8, max_size=8)
DATES = st.datetimes().map(lambda moment: moment.isoformat(timespec="seconds"))
SNAPSHOTS = st.builds(
    lambda total, dates: Snapshot(total, tuple(sorted(dates.items()))),
    st.none() | st.integers(0, 10**12),
    st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), DATES, max_size=MAX_SERVICES + 3),
)

VIEWS = st.builds(ViewMark, st.booleans(), st.binary(min_size=8, max_size=8))
DATA = SNAPSHOTS | VIEWS

PRESENT = Snapshot(7, (("o365", "2026-01-01T00:00:00"),))


def one(offset: int = 5, data: Snapshot | ViewMark = PRESENT) -> str:
    """Return a cursor of the query."""
    return cursor.encode(QUESTION, data, range(offset, offset + 1))[0]


def refuse(text: str, fingerprint: bytes = QUESTION) -> None:
    """Check that ``text`` raises InvalidCursor for the query with ``fingerprint``."""
    with pytest.raises(InvalidCursor) as caught:
        cursor.decode(text, fingerprint, argument="after")
    assert "'after'" in caught.value.message


@settings(deadline=None)
@given(
    fingerprint=FINGERPRINTS,
    data=DATA,
    start=OFFSETS | st.integers(1, 5).map(lambda runs: runs * 4_096 - 3),
    rows=st.integers(0, 30),
)
def test_a_cursor_round_trips(fingerprint: bytes, data: Snapshot | ViewMark, start: int, rows: int) -> None:
    offsets = range(start, start + rows)
    texts = cursor.encode(fingerprint, data, offsets)
    mark = CursorSnapshot.of(data) if isinstance(data, Snapshot) else data
    expected = [Cursor(offset, mark) for offset in offsets]
    assert [cursor.decode(text, fingerprint, argument="after") for text in texts] == expected
    assert len(set(texts)) == len(set(offsets)), "each row has a cursor of its own"


@given(data=DATA, offset=OFFSETS)
def test_a_cursor_is_url_safe(data: Snapshot | ViewMark, offset: int) -> None:
    assert set(one(offset, data)) <= set(ALPHABET)


@settings(max_examples=20, deadline=None)
@given(snapshot=SNAPSHOTS, block=st.integers(0, 20))
def test_cursors_of_a_block_are_short_and_distinct_with_a_common_prefix(snapshot: Snapshot, block: int) -> None:
    texts = cursor.encode(QUESTION, snapshot, range(10_000 * block, 10_000 * (block + 1)))
    assert len(set(texts)) == 10_000
    assert len({text[:-4] for text in texts}) <= 4, "neighbours share the part that is dear to make"
    assert max(map(len, texts)) <= 256


@pytest.mark.parametrize("place", range(len(one())))
def test_a_change_of_any_single_character_is_refused(place: int) -> None:
    text = one()
    for character in ALPHABET + "+/= é":
        if character != text[place]:
            refuse(text[:place] + character + text[place + 1 :])


@given(text=st.builds(one, OFFSETS, DATA), data=st.data())
def test_a_change_of_any_character_in_any_cursor_is_refused(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(ALPHABET).filter(lambda character: character != text[place]))
    refuse(text[:place] + other + text[place + 1 :])


@given(text=st.builds(one, OFFSETS, DATA), data=st.data())
def test_a_truncated_cursor_is_refused(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, len(text)))
    if (start, stop) != (0, len(text)):
        refuse(text[start:stop])


@given(text=st.builds(one, OFFSETS, DATA), more=st.text(ALPHABET + "=\n ", min_size=1, max_size=12))
def test_a_cursor_with_extra_text_around_it_is_refused(text: str, more: str) -> None:
    refuse(text + more)
    refuse(more + text)


@given(other=FINGERPRINTS.filter(lambda fingerprint: fingerprint != QUESTION))
def test_a_cursor_of_another_query_is_refused(other: bytes) -> None:
    refuse(one(), other)


@pytest.mark.parametrize(
    ("data", "own_version"),
    [(PRESENT, cursor.SNAPSHOT_VERSION), (ViewMark(True, b"12345678"), cursor.VIEW_VERSION)],
    ids=["snapshot", "view"],
)
@pytest.mark.parametrize("version", [0, 1, 2, 3, 255])
def test_a_valid_cursor_of_another_version_is_refused(
    data: Snapshot | ViewMark, own_version: int, version: int
) -> None:
    text = one(5, data)
    said = bytes([version]) + urlsafe_b64decode(text[:-4])[1:-4]
    made = urlsafe_b64encode(said + hashlib.blake2b(said, digest_size=4).digest()).decode() + text[-4:]
    if version == own_version:
        assert made == text
    else:
        refuse(made)


@settings(max_examples=300)
@given(text=st.text(max_size=80) | st.text(ALPHABET + "=", max_size=80) | st.binary(max_size=90).map(str))
def test_unknown_fields_are_refused(text: str) -> None:
    refuse(text)


@pytest.mark.parametrize("text", ["", "=", "====", "\ud800" * 4, "\0" * 4, "AAAA" * 10, "٣" * 8])
def test_malformed_texts_are_refused(text: str) -> None:
    refuse(text)


@pytest.mark.parametrize("character", ["A", "=", "é", "💥"])
def test_a_cursor_of_megabytes_is_refused_quickly(character: str) -> None:
    text = character * 4_000_000
    started_seconds = time.perf_counter()
    refuse(text)
    assert time.perf_counter() - started_seconds < 0.05


@given(snapshot=SNAPSHOTS)
def test_a_snapshot_never_conflicts_with_itself_and_is_not_newer(snapshot: Snapshot) -> None:
    assert not CursorSnapshot.of(snapshot).conflicts(CursorSnapshot.of(snapshot))
    assert not CursorSnapshot.of(snapshot).is_newer(CursorSnapshot.of(snapshot))


FEW = st.builds(
    lambda total, dates: Snapshot(total, tuple(sorted(dates.items()))),
    st.none() | st.integers(0, 3),
    st.dictionaries(st.sampled_from("abc"), st.sampled_from(["2026-01-01T00:00:00", "2026-01-02T00:00:00"])),
)


@given(snapshot=FEW, other=FEW)
def test_compact_snapshots_conflict_exactly_if_the_whole_ones_do(snapshot: Snapshot, other: Snapshot) -> None:
    assert CursorSnapshot.of(snapshot).conflicts(CursorSnapshot.of(other)) is snapshot.conflicts(other)


@given(snapshot=FEW, other=FEW)
def test_a_snapshot_is_newer_when_a_service_was_processed_later_in_it(snapshot: Snapshot, other: Snapshot) -> None:
    known = dict(other.dates)
    later = any(when > known[service] for service, when in snapshot.dates if service in known)
    assert CursorSnapshot.of(snapshot).is_newer(CursorSnapshot.of(other)) is later


def test_a_snapshot_of_very_many_services_stays_small() -> None:
    many = Snapshot(1, tuple((f"service-{number:04}", "2026-01-01T00:00:00") for number in range(1_000)))
    assert len(CursorSnapshot.of(many).dates) == MAX_SERVICES
    assert len(one(2**31 - 1, many)) <= 256


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2018-10-14", "2018-10-14T00:00:01"),
        ("2018-10-14T00:00:00", "2018-10-14T00:00:01.5"),
        ("2018-10-14T00:00:00Z", "2018-10-15T00:00:00Z"),
        ("0001-01-01T00:00:00", "9999-12-31T23:59:59.9999999"),
    ],
)
def test_dates_in_the_upstreams_format_are_distinguished_and_ordered(earlier: str, later: str) -> None:
    old, new = (CursorSnapshot.of(Snapshot(None, (("o365", when),))) for when in (earlier, later))
    assert old.conflicts(new)
    assert new.is_newer(old)
    assert not old.is_newer(new)
