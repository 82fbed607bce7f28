"""The partial file and its resume point."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from gateway.cli.export.partial_file import PartialFile, Step


def started(path: Path) -> PartialFile:
    """A partial file with one page in it."""
    partial = PartialFile(path, "q")
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
    partial = PartialFile(path, "q", resume=True)
    assert (partial.resume_point.rows, partial.resume_point.cursor, partial.resume_point.size_bytes) == (1, "c1", 4)
    partial.append(Step(b"two\n", 1, None, is_complete=True))
    partial.finish()
    partial.close()
    assert path.read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize("damage", [b"", b"{", b'{"question": "q", "size_bytes": 4, "version": 2}', b"[]"])
def test_an_unreadable_resume_point_starts_again(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "rows.csv"
    started(path).close()
    (tmp_path / "rows.csv.partial.json").write_bytes(damage)
    partial = PartialFile(path, "q", resume=True)
    assert partial.resume_point.rows == 0
    partial.close()
    assert not (tmp_path / "rows.csv.partial").exists()


def test_a_partial_file_shorter_than_its_resume_point_starts_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    started(path).close()
    (tmp_path / "rows.csv.partial").write_bytes(b"on")
    partial = PartialFile(path, "q", resume=True)
    assert partial.resume_point.rows == 0
    partial.close()


def test_a_partial_file_is_neither_discarded_nor_mixed_with_another_by_accident(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    started(path).close()
    for digest, resume in (("q", False), ("other", True)):
        with pytest.raises(click.UsageError):
            PartialFile(path, digest, resume=resume)
    assert (tmp_path / "rows.csv.partial").read_bytes() == b"one\n"
    partial = PartialFile(path, "other", restart=True)
    assert partial.resume_point.rows == 0
    partial.close()


def test_two_exports_cannot_write_one_file(tmp_path: Path) -> None:
    partial = started(tmp_path / "rows.csv")
    with pytest.raises(click.UsageError, match="Another export"):
        PartialFile(tmp_path / "rows.csv", "q", restart=True)
    partial.close()


def test_a_failed_finisher_leaves_a_partial_file_that_can_be_finished(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    partial = PartialFile(path, "q")
    partial.append(Step(b"one\n", 1, None, is_complete=True))

    def fails(lines: Path, finished: Path) -> None:
        finished.write_bytes(b"half")
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        partial.finish(fails)
    partial.close()
    again = PartialFile(path, "q", resume=True)
    assert again.resume_point.is_complete

    def succeeds(lines: Path, finished: Path) -> None:
        finished.write_bytes(lines.read_bytes().upper())

    again.finish(succeeds)
    again.close()
    assert path.read_bytes() == b"ONE\n"
    assert list(tmp_path.iterdir()) == [path]
