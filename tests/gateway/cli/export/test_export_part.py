"""The unfinished file and its mark."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from gateway.cli.export.part import PartFile


def begun(path: Path) -> PartFile:
    """A part with one page in it."""
    part = PartFile(path, "q")
    part.append(b"one\n", rows=1, cursor="c1", is_complete=False)
    return part


def test_the_file_appears_at_the_end_and_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("old", encoding="utf-8")
    part = begun(path)
    assert path.read_text(encoding="utf-8") == "old"
    part.append(b"two\n", rows=1, cursor="c2", is_complete=True)
    part.finish()
    part.close()
    assert path.read_bytes() == b"one\ntwo\n"
    assert list(tmp_path.iterdir()) == [path]


def test_what_stands_behind_the_mark_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    begun(path).close()
    with (tmp_path / "rows.csv.partial").open("ab") as file:
        file.write(b"tw")
    part = PartFile(path, "q", resume=True)
    assert (part.mark.rows, part.mark.cursor, part.mark.size_bytes) == (1, "c1", 4)
    part.append(b"two\n", rows=1, cursor=None, is_complete=True)
    part.finish()
    part.close()
    assert path.read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize("damage", [b"", b"{", b'{"question": "q", "size_bytes": 4, "version": 2}', b"[]"])
def test_a_mark_that_cannot_be_read_begins_anew(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "rows.csv"
    begun(path).close()
    (tmp_path / "rows.csv.partial.json").write_bytes(damage)
    part = PartFile(path, "q", resume=True)
    assert part.mark.rows == 0
    part.close()
    assert not (tmp_path / "rows.csv.partial").exists()


def test_a_part_that_is_shorter_than_its_mark_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    begun(path).close()
    (tmp_path / "rows.csv.partial").write_bytes(b"on")
    part = PartFile(path, "q", resume=True)
    assert part.mark.rows == 0
    part.close()


def test_a_part_is_neither_thrown_away_nor_mixed_with_another_by_accident(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    begun(path).close()
    for question, resume in (("q", False), ("other", True)):
        with pytest.raises(click.UsageError):
            PartFile(path, question, resume=resume)
    assert (tmp_path / "rows.csv.partial").read_bytes() == b"one\n"
    part = PartFile(path, "other", restart=True)
    assert part.mark.rows == 0
    part.close()


def test_two_exports_do_not_write_one_file(tmp_path: Path) -> None:
    part = begun(tmp_path / "rows.csv")
    with pytest.raises(click.UsageError, match="Another export"):
        PartFile(tmp_path / "rows.csv", "q", restart=True)
    part.close()


def test_a_finisher_that_fails_leaves_a_part_that_can_be_finished(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    part = PartFile(path, "q")
    part.append(b"one\n", rows=1, cursor=None, is_complete=True)

    def fails(lines: Path, made: Path) -> None:
        made.write_bytes(b"half")
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        part.finish(fails)
    part.close()
    again = PartFile(path, "q", resume=True)
    assert again.mark.is_complete

    def succeeds(lines: Path, made: Path) -> None:
        made.write_bytes(lines.read_bytes().upper())

    again.finish(succeeds)
    again.close()
    assert path.read_bytes() == b"ONE\n"
    assert list(tmp_path.iterdir()) == [path]
