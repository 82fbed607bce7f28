"""The partial file and its resume point."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, BinaryIO

import click
import pytest

from gateway.access_token import AccessToken
from gateway.cli.export.credentials import tenant_of
from gateway.cli.export.partial_file import PartialFile, ResumePoint, Step


def started(path: Path) -> PartialFile:
    """A partial file with one page in it."""
    partial = PartialFile(path, ResumePoint("q"))
    partial.append(Step(b"one\n", 1, "c1"))
    return partial


def test_the_file_appears_at_the_end_and_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("old", encoding="utf-8")
    partial = started(path)
    assert path.read_text(encoding="utf-8") == "old"
    partial.append(Step(b"two\n", 1, "c2", is_complete=True))
    partial.finish()
    partial.close()
    assert path.read_bytes() == b"one\ntwo\n"
    assert list(tmp_path.iterdir()) == [path]


def test_bytes_after_the_resume_point_are_truncated(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    started(path).close()
    with (tmp_path / "rows.csv.partial").open("ab") as file:
        file.write(b"tw")
    partial = PartialFile(path, ResumePoint("q"), resume=True)
    assert (partial.resume_point.rows, partial.resume_point.cursor, partial.resume_point.size_bytes) == (1, "c1", 4)
    partial.append(Step(b"two\n", 1, None, is_complete=True))
    partial.finish()
    partial.close()
    assert path.read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize("damage", [None, b"", b"{", b'{"question": "q", "size_bytes": 4, "version": 1}', b"[]"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_file_without_a_resume_point_that_fits_is_kept(tmp_path: Path, damage: bytes | None, resume: bool) -> None:
    """It may be another program's file that happens to have this name."""
    path, partial_path = tmp_path / "rows.csv", tmp_path / "rows.csv.partial"
    partial_path.write_bytes(b"precious")
    partial_path.chmod(0o644)
    if damage is not None:
        (tmp_path / "rows.csv.partial.json").write_bytes(damage)
    with pytest.raises(click.UsageError, match="discard it with --restart"):
        PartialFile(path, ResumePoint("q"), resume=resume)
    assert (partial_path.read_bytes(), partial_path.stat().st_mode & 0o777) == (b"precious", 0o644)
    partial = PartialFile(path, ResumePoint("q"), restart=True)
    assert (partial.resume_point.rows, partial_path.read_bytes()) == (0, b"")
    partial.close()
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_file_with_the_name_of_a_resume_point_is_kept(tmp_path: Path) -> None:
    resume_path = tmp_path / "rows.csv.partial.json"
    resume_path.write_bytes(b'["precious"]')
    with pytest.raises(click.UsageError, match=r"rows\.csv\.partial\.json has content"):
        PartialFile(tmp_path / "rows.csv", ResumePoint("q"))
    assert resume_path.read_bytes() == b'["precious"]'


def test_a_partial_file_shorter_than_its_resume_point_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    started(path).close()
    (tmp_path / "rows.csv.partial").write_bytes(b"on")
    with pytest.raises(click.UsageError, match="no resume point that fits"):
        PartialFile(path, ResumePoint("q"), resume=True)
    assert (tmp_path / "rows.csv.partial").read_bytes() == b"on"


@pytest.mark.parametrize("resume", [False, True])
def test_an_export_that_was_killed_in_its_first_page_starts_again(tmp_path: Path, resume: bool) -> None:
    path = tmp_path / "rows.csv"
    killed = PartialFile(path, ResumePoint("q"))
    killed._file.write(b"half a pa")
    killed._file.close()
    partial = PartialFile(path, ResumePoint("another query"), resume=resume)
    partial.append(Step(b"one\n", 1, None, is_complete=True))
    partial.finish()
    partial.close()
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"one\n", [path])


def test_a_partial_file_is_neither_discarded_nor_mixed_with_another_by_accident(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    started(path).close()
    for digest, resume in (("q", False), ("other", True)):
        with pytest.raises(click.UsageError):
            PartialFile(path, ResumePoint(digest), resume=resume)
    assert (tmp_path / "rows.csv.partial").read_bytes() == b"one\n"
    partial = PartialFile(path, ResumePoint("other"), restart=True)
    assert partial.resume_point.rows == 0
    partial.close()


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (ResumePoint("q", "s", "t1"), ResumePoint("q", "s", "t2"), "another tenant's token"),
        (ResumePoint("q", "s1"), ResumePoint("q", "s2"), "another upstream or gateway"),
        (ResumePoint("q1", "s"), ResumePoint("q2", "s"), "another operation or format"),
    ],
)
def test_an_export_is_resumed_only_from_its_source(
    tmp_path: Path, before: ResumePoint, after: ResumePoint, message: str
) -> None:
    partial = PartialFile(tmp_path / "rows.csv", before)
    partial.append(Step(b"one\n", 1, "c1"))
    partial.close()
    with pytest.raises(click.UsageError, match=message):
        PartialFile(tmp_path / "rows.csv", after, resume=True)
    assert (tmp_path / "rows.csv.partial").read_bytes() == b"one\n"


def test_a_tenant_read_in_one_run_is_required_in_later_runs(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    for tenant in (None, "t", None):
        partial = PartialFile(path, ResumePoint("q", "s", tenant), resume=True)
        partial.append(Step(b"one\n", 1, "c1"))
        partial.close()
    with pytest.raises(click.UsageError, match="tenant"):
        PartialFile(path, ResumePoint("q", "s", "other"), resume=True)


def token_with(**claims: Any) -> AccessToken:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return AccessToken(f"e30.{payload}.x")


def test_the_tenant_is_read_from_readable_tokens() -> None:
    assert tenant_of(token_with(tid="ABC-1")) == tenant_of(token_with(tid="abc-1", exp=1)) == "abc-1"
    for token in (token_with(), token_with(tid=5), token_with(tid=None), AccessToken("opaque"), AccessToken("a.b.c")):
        assert tenant_of(token) is None


def test_two_exports_cannot_write_one_file(tmp_path: Path) -> None:
    partial = started(tmp_path / "rows.csv")
    with pytest.raises(click.UsageError, match="Another export"):
        PartialFile(tmp_path / "rows.csv", ResumePoint("q"), restart=True)
    partial.close()


def test_a_failed_finisher_leaves_a_partial_file_that_can_be_finished(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    partial = PartialFile(path, ResumePoint("q"))
    partial.append(Step(b"one\n", 1, None, is_complete=True))

    def fails(lines: BinaryIO, finished: BinaryIO) -> None:
        finished.write(b"half")
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        partial.finish(fails)
    partial.close()
    again = PartialFile(path, ResumePoint("q"), resume=True)
    assert again.resume_point.is_complete

    def succeeds(lines: BinaryIO, finished: BinaryIO) -> None:
        finished.write(lines.read().upper())

    again.finish(succeeds)
    again.close()
    assert path.read_bytes() == b"ONE\n"
    assert list(tmp_path.iterdir()) == [path]
