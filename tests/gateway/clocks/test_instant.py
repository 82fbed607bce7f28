"""Instants: one canonical text for all spellings of a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clocks.instant import instant
from gateway.paging import cursor
from gateway.paging.cursor import CursorSnapshot
from gateway.snapshots.snapshot import Snapshot, snapshot_of
from gateway.snapshots.snapshot_digest import SnapshotDigest
from tests.gateway.fakes import Row

MIDNIGHT = (
    "2018-10-14",
    "2018-10-14T00:00",
    "2018-10-14T00:00:00",
    "2018-10-14T00:00:00Z",
    "2018-10-14T00:00:00.0",
    "2018-10-14T00:00:00.0000000Z",
    "2018-10-14T00:00:00+00:00",
    "2018-10-14T00:00:00.000-00:00",
    "2018-10-14T05:30:00+05:30",
    "2018-10-13T16:00:00-08:00",
)


@pytest.mark.parametrize("text", MIDNIGHT)
def test_every_spelling_of_an_instant_has_one_canonical_text(text: str) -> None:
    assert instant(text) == "2018-10-14T00:00:00"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2018-10-14T00:00:00.1000000", "2018-10-14T00:00:00.1"),
        ("2018-10-14T00:00:00.0000001Z", "2018-10-14T00:00:00.0000001"),
        ("0001-01-01T00:00:00", "0001-01-01T00:00:00"),
        ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.9999999"),
    ],
)
def test_fractions_of_ticks_and_the_first_and_last_year_are_kept(text: str, canonical: str) -> None:
    assert instant(text) == canonical


@pytest.mark.parametrize(
    "text", ["", "soon", "2018-02-30", "2018-10-14T00:00:00z", "0001-01-01T00:00:00+05:30", "9999-12-31T23:00:00-05:00"]
)
def test_invalid_dates_compare_as_text(text: str) -> None:
    assert instant(text) == text
    assert Snapshot(1, (("a", text),)).conflicts(Snapshot(1, (("a", "2018-10-14"),)))


MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1))
OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(MOMENTS, OFFSETS, OFFSETS, MOMENTS)
def test_instants_of_any_offsets_agree_and_sort_by_time(
    one: datetime, here: timezone, there: timezone, other: datetime
) -> None:
    one, other = one.replace(tzinfo=UTC), other.replace(tzinfo=UTC)
    assert instant(one.astimezone(here).isoformat()) == instant(one.astimezone(there).isoformat())
    assert (instant(one.isoformat()) < instant(other.isoformat())) == (one < other)


@pytest.mark.parametrize("text", MIDNIGHT)
def test_snapshots_cursors_and_digests_compare_instants(text: str) -> None:
    plain, other = Snapshot(3, (("a", "2018-10-14T00:00:00"),)), Snapshot(3, (("a", text),))
    assert not plain.conflicts(other)
    assert not other.conflicts(plain)
    assert CursorSnapshot.of(plain) == CursorSnapshot.of(other)
    assert cursor.encode(b"question", plain, range(2)) == cursor.encode(b"question", other, range(2))
    assert SnapshotDigest.of(plain, "export") == SnapshotDigest.of(other, "export")


@given(st.lists(st.sampled_from(MIDNIGHT), min_size=1))
def test_a_service_with_one_instant_in_several_spellings_has_one_date(texts: list[str]) -> None:
    rows = [Row("a", 1, text) for text in texts]
    snapshot = snapshot_of(rows, service="service_code", date="processed_date_time", total_count=None)
    assert snapshot == Snapshot(None, (("a", min(texts)),))
    rows += [Row("a", 1, "2018-10-14T00:00:00.5")]
    assert snapshot_of(rows, service="service_code", date="processed_date_time", total_count=None).dates == ()
