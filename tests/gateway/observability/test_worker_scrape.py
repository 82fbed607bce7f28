"""Whichever worker is scraped tells of all that answer, each under a number of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.observability.metrics import Metrics
from gateway.observability.worker_scrape import Worker, Workers, meeting
from tests.gateway.running import Running, eventually, kill

# For a worker that hangs; nothing here takes as long.
GIVE_UP_SECONDS = 30

Samples = dict[tuple[str, ...], float]


def samples(text: str) -> Samples:
    """Values by the sample's name, its worker, and its other labels' values; each family must be told in one piece."""
    heads = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(set(heads)) == len(heads)
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = dict(sample.labels)
            key = (sample.name, labels.pop("worker", ""), *(value for _, value in sorted(labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def numbers(found: Samples) -> list[str]:
    """The workers that are told."""
    return sorted(key[1] for key in found if key[0] == "gateway_workers")


# One process with several workers in it


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a path short enough for a socket's."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


@asynccontextmanager
async def started(*workers: Worker) -> AsyncIterator[None]:
    """Workers that listen."""
    for worker in workers:
        await worker.start()
    try:
        yield
    finally:
        for worker in workers:
            await worker.aclose()


async def scraped(worker: Worker) -> Samples:
    """What a scrape of ``worker`` tells."""
    async with asyncio.timeout(GIVE_UP_SECONDS):
        return samples(bytes((await worker.scrape()).body).decode())


def worker(folder: Path | None, requests: int = 0) -> Worker:
    """One that has seen so many requests."""
    metrics = Metrics()
    for _ in range(requests):
        metrics.request_started()
        metrics.request_ended(method="POST", route="/graphql", status=200, seconds=0.1, facts=None)
    return Worker(Workers(2, folder), metrics)


async def test_each_worker_tells_the_same(folder: Path) -> None:
    first, second = worker(folder, 1), worker(folder, 2)
    async with started(first, second):
        for asked in (first, second):
            found = await scraped(asked)
            assert found["gateway_requests_total", "0", "/graphql", "200"] == 1
            assert found["gateway_requests_total", "1", "/graphql", "200"] == 2
            assert found["gateway_workers", "0"] == found["gateway_workers", "1"] == 2


async def test_a_number_that_is_free_again_is_taken_again(folder: Path) -> None:
    first, second, third = worker(folder), worker(folder), worker(folder, 5)
    async with started(first, second):
        await first.aclose()
        assert numbers(await scraped(second)) == ["1"]
        async with started(third):
            found = await scraped(second)
            assert numbers(found) == ["0", "1"]
            assert found["gateway_requests_total", "0", "/graphql", "200"] == 5


@pytest.mark.parametrize("answer", [b"", b"# HELP gateway_workers \n# TYPE gateway_workers gauge\ngateway_workers 2"])
async def test_an_answer_that_is_cut_off_is_left_out(folder: Path, answer: bytes) -> None:
    async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    only = worker(folder)
    other = await asyncio.start_unix_server(cut, folder / "7.sock")
    async with other, started(only):
        assert numbers(await scraped(only)) == ["0"]


async def test_one_that_does_not_answer_is_not_waited_for(folder: Path) -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    only = worker(folder)
    other = await asyncio.start_unix_server(silent, folder / "7.sock")
    async with started(only):
        assert numbers(await scraped(only)) == ["0"]
    other.close()


async def test_where_workers_cannot_meet_each_tells_of_itself(folder: Path) -> None:
    """Nowhere, or where a path is too long for a socket's."""
    far = folder / ("x" * 120)
    far.mkdir()
    for place in (None, far, folder / "missing"):
        alone = worker(place, 3)
        async with started(alone):
            found = await scraped(alone)
            assert [value for key, value in found.items() if key[0] == "gateway_requests_total"] == [3]


def test_they_meet_where_nobody_else_may_look_and_until_the_end() -> None:
    with meeting(2) as workers:
        assert workers.folder is not None
        assert stat.S_IMODE(workers.folder.stat().st_mode) == 0o700
        (workers.folder / "0.sock").touch()
    assert not workers.folder.exists()


# Several processes


@pytest.fixture
def running(folder: Path) -> Iterator[Running]:
    """Three workers, with ``folder`` for what is temporary."""
    server = Running(("--port", "0", "--workers", "3"), {"TMPDIR": str(folder)})
    yield server
    kill(server.process)


def scrape(running: Running) -> Samples:
    """A scrape of whichever worker answers."""
    return samples(httpx.get(f"{running.url}/metrics", trust_env=False, timeout=GIVE_UP_SECONDS).text)


def whole(running: Running) -> Samples:
    """A scrape that tells of all three; on a busy machine one may be late."""
    found: Samples = {}

    def is_whole() -> bool:
        found.clear()
        found.update(scrape(running))
        return numbers(found) == ["0", "1", "2"]

    eventually(is_whole, GIVE_UP_SECONDS)
    return found


def worker_pids(running: Running) -> list[int]:
    """Those with a lock in the folder, by number."""
    found: dict[str, int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            opened = [os.readlink(file) for file in (process / "fd").iterdir()]
        except OSError:
            continue  # it has ended, or is another user's
        found |= {path: int(process.name) for path in opened if path.endswith(".lock") and "/gateway-" in path}
    own = {path: pid for path, pid in found.items() if os.getpgid(pid) == running.process.pid}
    return [own[path] for path in sorted(own)]


def sum_of(found: Samples, name: str) -> float:
    """Over all workers and labels."""
    return sum(value for key, value in found.items() if key[0] == name)


def test_no_count_is_lost_or_goes_back_whichever_worker_is_scraped(running: Running) -> None:
    whole(running)
    for number in range(1, 21):
        body = {"query": "{ __typename }"}
        assert httpx.post(f"{running.url}/graphql", json=body, trust_env=False).status_code == 200
        assert sum_of(whole(running), "gateway_operations_total") == number


def test_a_worker_that_stands_still_is_left_out_and_one_started_anew_is_told_again(running: Running) -> None:
    """Until then those that answer tell how many there should be."""
    before = whole(running)
    pids = worker_pids(running)
    os.kill(pids[1], signal.SIGSTOP)
    try:
        found = scrape(running)
    finally:
        os.kill(pids[1], signal.SIGKILL)
    assert "1" not in numbers(found)
    assert found["gateway_workers", numbers(found)[0]] == 3
    after = whole(running)
    assert after["process_start_time_seconds", "1"] > before["process_start_time_seconds", "1"]
    assert after["process_start_time_seconds", "0"] == before["process_start_time_seconds", "0"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_of_their_meeting_is_left_at_the_end(running: Running, folder: Path, number: signal.Signals) -> None:
    whole(running)
    assert len(list(folder.glob("gateway-*/*.sock"))) == 3
    assert running.end(number)[0] == 0
    assert list(folder.iterdir()) == []


def test_one_process_alone_has_no_number_and_meets_nobody(folder: Path) -> None:
    server = Running(("--port", "0"), {"TMPDIR": str(folder)})
    try:
        found = scrape(server)
        assert {key[1] for key in found} == {""}
        assert not any(key[0] == "gateway_workers" for key in found)
        assert list(folder.iterdir()) == []
    finally:
        kill(server.process)


@pytest.mark.parametrize(
    "junk", [b"# HELP x y\n# EOF\n", b"\xff" * 100 + b"# EOF\n", b"# EOF\n", b"", b"x" * 5_000_000]
)
async def test_a_socket_that_shows_something_else_spoils_no_scrape(tmp_path: Path, junk: bytes) -> None:
    """What is too long is not read to its end."""

    async def show(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(junk)
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(show, tmp_path / "1.sock")
    worker = Worker(Workers(2, tmp_path), Metrics())
    await worker.start()
    try:
        text = bytes((await worker.scrape()).body)
    finally:
        await worker.aclose()
        server.close()
    assert b'gateway_requests_in_flight{worker="0"} 0.0\n' in text
    assert b"xxxx" not in text
