"""Exports never harm their targets: plain files, links, pipes and devices."""

from __future__ import annotations

import errno
import io
import os
import socket
import stat
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import click
import pytest

from gateway.cli.export.output import STDOUT, OutputFile, OutputStream, output_at
from gateway.cli.export.partial_file import PartialFile, ResumePoint, Step, StreamTarget

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

# Any user other than the one that runs the tests.
STRANGER = 12_345
# acl(5): an access control list that lets the stranger read. Tag, permissions and id of each entry behind the version.
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *entry)
    for entry in [(1, 6, 2**32 - 1), (2, 4, STRANGER), (4, 0, 2**32 - 1), (16, 4, 2**32 - 1), (32, 0, 2**32 - 1)]
)
ACL_NAME = "system.posix_acl_access"


def export_to(path: Path, content: bytes = b"new\n") -> None:
    """Export ``content`` to the target of ``path``."""
    output = output_at(str(path))
    assert isinstance(output, OutputFile)
    partial = PartialFile(output.path, ResumePoint("q"))
    try:
        partial.append(Step(content, 1, None, is_complete=True))
        partial.finish()
    finally:
        partial.close()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def shared_folder(tmp_path: Path) -> Path:
    """A folder where everyone may write, such as /tmp."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """The least strict umask: it hides no file."""
    previous = os.umask(0)
    yield
    os.umask(previous)


# Plain files


def test_new_files_are_readable_by_their_owner_alone_at_every_moment(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    partial = PartialFile(path, ResumePoint("q"))
    partial.append(Step(b"one\n", 1, "c1"))
    assert {name: mode_of(tmp_path / name) for name in names(tmp_path)} == {
        "rows.csv.partial": 0o600,
        "rows.csv.partial.json": 0o600,
    }
    partial.finish(lambda lines, finished: seen.append(mode_of(tmp_path / "rows.csv.partial.new")))
    partial.close()
    assert (seen, mode_of(path)) == ([0o600], 0o600)


seen: list[int] = []


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o664, 0o666])
def test_an_existing_file_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"the old content\n")
    path.chmod(mode)
    if not os.access(path, os.W_OK):
        with pytest.raises(click.UsageError, match="may not be written"):
            output_at(str(path))
        return
    export_to(path)
    assert (path.read_bytes(), mode_of(path)) == (b"new\n", mode)
    assert names(tmp_path) == ["rows.csv"]


@needs_root
def test_an_existing_file_keeps_owner_group_and_access_control_list(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"old\n")
    os.chown(path, STRANGER, STRANGER + 1)
    os.setxattr(path, ACL_NAME, ACL)
    export_to(path)
    assert (path.stat().st_uid, path.stat().st_gid, path.read_bytes()) == (STRANGER, STRANGER + 1, b"new\n")
    assert os.getxattr(path, ACL_NAME) == ACL


@needs_root
def test_the_access_control_list_of_the_folder_grants_no_access(tmp_path: Path) -> None:
    """New files inherit the list. It gives access neither to a new file nor to an existing one without a list."""
    os.setxattr(tmp_path, "system.posix_acl_default", ACL)
    new, old = tmp_path / "new.csv", tmp_path / "old.csv"
    old.write_bytes(b"old\n")
    os.removexattr(old, ACL_NAME)
    old.chmod(0o640)
    export_to(new)
    export_to(old)
    assert ACL_NAME not in os.listxattr(old)
    assert [mode_of(path) for path in (new, old)] == [0o600, 0o640]


@pytest.fixture
def strangers_folder() -> Iterator[Path]:
    """A folder of another user than root, which runs the test; pytest's own folders are closed to that user."""
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, STRANGER, STRANGER)
        os.seteuid(STRANGER)
        try:
            yield Path(name)
        finally:
            os.seteuid(0)


@needs_root
def test_another_users_file_is_overwritten_because_its_owner_could_not_be_kept(strangers_folder: Path) -> None:
    path = strangers_folder / "rows.csv"
    path.write_bytes(b"an old content that is longer\n")
    path.chmod(0o666)
    os.seteuid(0)
    os.chown(path, 0, 0)
    os.seteuid(STRANGER)
    inode = path.stat().st_ino
    export_to(path)
    status = path.stat()
    assert (status.st_ino, status.st_uid, mode_of(path), path.read_bytes()) == (inode, 0, 0o666, b"new\n")
    assert names(strangers_folder) == ["rows.csv"]


@needs_root
@pytest.mark.parametrize("mode", [0o444, 0o600])
def test_a_file_that_the_user_may_not_write_is_unchanged(strangers_folder: Path, mode: int) -> None:
    path = strangers_folder / "rows.csv"
    path.write_bytes(b"old\n")
    path.chmod(mode)
    if mode == 0o600:
        os.seteuid(0)
        os.chown(path, 0, 0)
        os.seteuid(STRANGER)
    with pytest.raises(click.UsageError, match="may not be written"):
        output_at(str(path))
    assert names(strangers_folder) == ["rows.csv"]


def test_all_names_of_a_file_keep_one_content(tmp_path: Path) -> None:
    path, other = tmp_path / "rows.csv", tmp_path / "other.csv"
    path.write_bytes(b"an old content that is longer\n")
    other.hardlink_to(path)
    export_to(path)
    assert (path.read_bytes(), other.read_bytes()) == (b"new\n", b"new\n")
    assert path.stat().st_nlink == 2
    assert names(tmp_path) == ["other.csv", "rows.csv"]


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EPERM, errno.EXDEV])
def test_a_file_whose_name_cannot_be_taken_is_overwritten(tmp_path: Path, number: int) -> None:
    """Such as a single file that is mounted into a container."""
    path = tmp_path / "rows.csv"
    path.write_bytes(b"old\n")
    inode = path.stat().st_ino
    real = Path.replace

    def replace(self: Path, to: Path) -> Path:
        if to == path:
            raise OSError(number, "no")
        return real(self, to)

    with mock.patch.object(Path, "replace", replace):
        export_to(path)
    assert (path.read_bytes(), path.stat().st_ino) == (b"new\n", inode)


@needs_root
@pytest.mark.parametrize("has_two_names", [False, True])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, has_two_names: bool) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("cannot mount")
    try:
        path = disk / "rows.csv"
        path.write_bytes(b"old\n")
        if has_two_names:
            (disk / "other").hardlink_to(path)
        # The partial file fits, but a second copy of it does not.
        size = 140_000 if has_two_names else 400_000
        with pytest.raises(OSError, match="No space left"):
            export_to(path, b"x" * size)
        assert path.read_bytes() == b"old\n"
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


# Links


def test_a_link_survives_and_the_file_behind_it_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    file, link, second = tmp_path / "real" / "rows.csv", tmp_path / "rows.csv", tmp_path / "second.csv"
    file.write_bytes(b"old\n")
    link.symlink_to("real/rows.csv")
    second.symlink_to(link)
    export_to(second)
    assert (file.read_bytes(), link.is_symlink(), second.is_symlink()) == (b"new\n", True, True)
    assert names(tmp_path / "real") == ["rows.csv"]


def test_a_dangling_link_gets_its_file(tmp_path: Path) -> None:
    link = tmp_path / "rows.csv"
    link.symlink_to("later.csv")
    export_to(link)
    assert (link.is_symlink(), (tmp_path / "later.csv").read_bytes()) == (True, b"new\n")


def test_a_circle_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to("b.csv")
    (tmp_path / "b.csv").symlink_to("a.csv")
    with pytest.raises(click.UsageError, match="link"):
        output_at(str(tmp_path / "a.csv"))


@needs_root
def test_links_files_and_pipes_of_other_users_in_a_shared_folder_are_refused(
    tmp_path: Path, shared_folder: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    link, file, pipe = (shared_folder / f"{kind}.csv" for kind in ("link", "file", "pipe"))
    link.symlink_to(victim)
    file.touch(0o666)
    os.mkfifo(pipe, 0o666)
    for path in (link, file, pipe):
        os.chown(path, STRANGER, STRANGER, follow_symlinks=False)
        with pytest.raises(click.UsageError, match="another user"):
            output_at(str(path))
    export_to(shared_folder / "own.csv")
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("suffix", ["partial", "partial.json"])
@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "hard link", "stranger"])
def test_a_planted_partial_file_is_refused(shared_folder: Path, tmp_path: Path, suffix: str, kind: str) -> None:
    if kind == "stranger" and os.geteuid() != 0:
        pytest.skip("needs root")
    path, planted, victim = (
        shared_folder / "rows.csv",
        shared_folder / f"rows.csv.{suffix}",
        tmp_path / "victim",
    )
    if kind != "dangling":
        victim.write_bytes(b"precious")
    if kind in ("link", "dangling"):
        planted.symlink_to(victim)
    elif kind == "pipe":
        os.mkfifo(planted)
    elif kind == "hard link":
        planted.hardlink_to(victim)
    else:
        planted.touch(0o666)
        # The owner of the folder, too, could read what is written to it.
        os.chown(planted, STRANGER, STRANGER)
        os.chown(shared_folder, STRANGER, STRANGER)
    with pytest.raises(click.UsageError, match=r"rows\.csv\.partial.* belongs to another user"):
        PartialFile(path, ResumePoint("q"), resume=True)
    assert victim.read_bytes() == b"precious" if kind != "dangling" else not victim.exists()


def test_planted_temporary_names_are_discarded_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    for suffix in ("partial.json.new", "partial.new"):
        (tmp_path / f"rows.csv.{suffix}").symlink_to(victim)
    partial = PartialFile(tmp_path / "rows.csv", ResumePoint("q"))
    partial.append(Step(b"one\n", 1, None, is_complete=True))
    partial.finish(lambda lines, finished: None)
    partial.close()
    assert victim.read_bytes() == b"precious"
    assert names(tmp_path) == ["rows.csv", "victim"]


def test_a_partial_file_of_an_earlier_version_becomes_private(tmp_path: Path) -> None:
    (tmp_path / "rows.csv.partial").touch(0o644)
    partial = PartialFile(tmp_path / "rows.csv", ResumePoint("q"))
    assert mode_of(tmp_path / "rows.csv.partial") == 0o600
    partial.close()


def test_an_export_that_ends_while_another_starts_keeps_its_file(tmp_path: Path) -> None:
    """The second export opens the partial file, which the first then renames to the finished file."""
    path = tmp_path / "rows.csv"
    first = PartialFile(path, ResumePoint("q"))
    first.append(Step(b"one\n", 1, None, is_complete=True))

    def lock(*_: object) -> None:
        first.finish()
        first.close()

    with mock.patch("fcntl.flock", lock), pytest.raises(click.UsageError, match="Another export"):
        PartialFile(path, ResumePoint("q"))
    assert path.read_bytes() == b"one\n"


# Other kinds


def test_a_target_replaced_during_the_export_is_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    partial = PartialFile(path, ResumePoint("q"))
    partial.append(Step(b"one\n", 1, None, is_complete=True))
    os.mkfifo(path)
    with pytest.raises(click.UsageError, match="no longer a file"):
        partial.finish()
    partial.close()
    assert path.is_fifo()
    path.unlink()
    again = PartialFile(path, ResumePoint("q"), resume=True)
    again.finish()
    again.close()
    assert path.read_bytes() == b"one\n"


@pytest.mark.parametrize("kind", ["directory", "socket", "block device"])
def test_directories_sockets_and_block_devices_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "rows.csv"
    if kind == "directory":
        path.mkdir()
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind(str(path))
    elif os.geteuid() == 0:
        # A loop device, which is not opened.
        os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(7, 250))
    else:
        pytest.skip("needs root")
    link = tmp_path / "link.csv"
    link.symlink_to(path)
    for output in (path, link):
        with pytest.raises(click.UsageError, match=f"is a {kind}"):
            output_at(str(output))


@pytest.mark.parametrize("text", ["", "rows.csv/", "/etc/passwd/rows.csv", "/proc/1/fd/1"])
def test_a_path_that_is_not_a_file_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError):
        output_at(text)


@pytest.mark.parametrize("text", [None, "-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_has_several_names(text: str | None) -> None:
    assert output_at(text) == STDOUT


def test_a_named_pipe_is_opened_for_its_reader(tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    os.mkfifo(path)
    output = output_at(str(path))
    assert output == OutputStream(path)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    assert isinstance(output, OutputStream)
    with output.open() as stream:
        stream.write(b"one\n")
    reader.join()
    assert (read, path.is_fifo()) == ([b"one\n"], True)


def test_a_stream_that_became_a_file_is_not_truncated(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"precious")
    with pytest.raises(click.UsageError, match="replaced meanwhile"):
        OutputStream(path).open()
    assert path.read_bytes() == b"precious"


def test_a_slow_reader_of_a_non_blocking_pipe_gets_everything() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    data = os.urandom(1_000_000)
    read: list[bytes] = []

    def read_all() -> None:
        while piece := os.read(reading, 10_000):
            read.append(piece)

    reader = threading.Thread(target=read_all)
    with io.FileIO(writing, "wb") as stream:
        reader.start()
        StreamTarget(stream).append(Step(data, 1, None))
    reader.join()
    os.close(reading)
    assert b"".join(read) == data
