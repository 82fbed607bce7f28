"""Any worker's /metrics covers all workers that respond, each labelled with its number."""

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
    """Return values by sample name, worker and other label values, after checking that each family appears once."""
    heads = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(set(heads)) == len(heads)
    shown: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = dict(sample.labels)
            key = (sample.name, labels.pop("worker", ""), *(value for _, value in sorted(labels.items())))
            assert key not in shown
            shown[key] = sample.value
    return shown


def numbers(shown: Samples) -> list[str]:
    """Return the numbers of the workers shown."""
    return sorted(key[1] for key in shown if key[0] == "gateway_workers")


# One process with several workers in it


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path short enough for a Unix socket."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


@asynccontextmanager
async def started(*workers: Worker) -> AsyncIterator[None]:
    """Start workers, and close them at the end."""
    for worker in workers:
        await worker.start()
    try:
        yield
    finally:
        for worker in workers:
            await worker.aclose()


async def scraped(worker: Worker) -> Samples:
    """Return the samples of a scrape of ``worker``."""
    async with asyncio.timeout(GIVE_UP_SECONDS):
        return samples(bytes((await worker.scrape()).body).decode())


def worker(folder: Path | None, requests: int = 0) -> Worker:
    """Return a worker that has counted ``requests`` requests."""
    metrics = Metrics()
    for _ in range(requests):
        metrics.requests.in_flight += 1
        metrics.requests.ended("POST", "/graphql", 200, 0.1, None)
    return Worker(Workers(2, folder), metrics)


async def test_each_worker_shows_the_same_metrics(folder: Path) -> None:
    first, second = worker(folder, 1), worker(folder, 2)
    async with started(first, second):
        for target in (first, second):
            shown = await scraped(target)
            assert shown["gateway_requests_total", "0", "/graphql", "200"] == 1
            assert shown["gateway_requests_total", "1", "/graphql", "200"] == 2
            assert shown["gateway_workers", "0"] == shown["gateway_workers", "1"] == 2


async def test_a_released_number_is_reused(folder: Path) -> None:
    first, second, third = worker(folder), worker(folder), worker(folder, 5)
    async with started(first, second):
        await first.aclose()
        assert numbers(await scraped(second)) == ["1"]
        async with started(third):
            shown = await scraped(second)
            assert numbers(shown) == ["0", "1"]
            assert shown["gateway_requests_total", "0", "/graphql", "200"] == 5


@pytest.mark.parametrize("answer", [b"", b"# HELP gateway_workers \n# TYPE gateway_workers gauge\ngateway_workers 2"])
async def test_a_truncated_response_is_omitted(folder: Path, answer: bytes) -> None:
    async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    only = worker(folder)
    other = await asyncio.start_unix_server(cut, folder / "7.sock")
    async with other, started(only):
        assert numbers(await scraped(only)) == ["0"]


async def test_an_unresponsive_worker_is_omitted_after_a_time_limit(folder: Path) -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    only = worker(folder)
    other = await asyncio.start_unix_server(silent, folder / "7.sock")
    async with started(only):
        assert numbers(await scraped(only)) == ["0"]
    other.close()


async def test_without_a_shared_folder_each_worker_shows_only_itself(folder: Path) -> None:
    """There is no folder, or its path is too long for a Unix socket."""
    far = folder / ("x" * 120)
    far.mkdir()
    for place in (None, far, folder / "missing"):
        alone = worker(place, 3)
        async with started(alone):
            shown = await scraped(alone)
            assert [value for key, value in shown.items() if key[0] == "gateway_requests_total"] == [3]


def test_the_shared_folder_is_private_and_deleted_at_the_end() -> None:
    with meeting(2) as workers:
        assert workers.folder is not None
        assert stat.S_IMODE(workers.folder.stat().st_mode) == 0o700
        (workers.folder / "0.sock").touch()
    assert not workers.folder.exists()


# Several processes


@pytest.fixture
def running(folder: Path) -> Iterator[Running]:
    """Three workers, with ``folder`` as the temporary folder."""
    server = Running(("--port", "0", "--workers", "3"), {"TMPDIR": str(folder)})
    yield server
    kill(server.process)


def scrape(running: Running) -> Samples:
    """Scrape any worker."""
    return samples(httpx.get(f"{running.url}/metrics", trust_env=False, timeout=GIVE_UP_SECONDS).text)


def whole(running: Running) -> Samples:
    """Scrape until all three workers are shown; on a busy machine one may be late."""
    shown: Samples = {}

    def is_whole() -> bool:
        shown.clear()
        shown.update(scrape(running))
        return numbers(shown) == ["0", "1", "2"]

    eventually(is_whole, GIVE_UP_SECONDS)
    return shown


def worker_pids(running: Running) -> list[int]:
    """Return the process ids of the workers by number, from their open lock files."""
    shown: dict[str, int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            opened = [os.readlink(file) for file in (process / "fd").iterdir()]
        except OSError:
            continue  # it has ended, or is another user's
        shown |= {path: int(process.name) for path in opened if path.endswith(".lock") and "/gateway-" in path}
    own = {path: pid for path, pid in shown.items() if os.getpgid(pid) == running.process.pid}
    return [own[path] for path in sorted(own)]


def sum_of(shown: Samples, name: str) -> float:
    """Sum a metric over all workers and labels."""
    return sum(value for key, value in shown.items() if key[0] == name)


def test_counters_never_decrease_whichever_worker_is_scraped(running: Running) -> None:
    whole(running)
    for number in range(1, 21):
        body = {"query": "{ __typename }"}
        assert httpx.post(f"{running.url}/graphql", json=body, trust_env=False).status_code == 200
        assert sum_of(whole(running), "gateway_operations_total") == number


def test_a_stopped_worker_is_omitted_and_a_restarted_one_reappears(running: Running) -> None:
    """Meanwhile the other workers show the configured number of workers."""
    before = whole(running)
    pids = worker_pids(running)
    os.kill(pids[1], signal.SIGSTOP)
    try:
        shown = scrape(running)
    finally:
        os.kill(pids[1], signal.SIGKILL)
    assert "1" not in numbers(shown)
    assert shown["gateway_workers", numbers(shown)[0]] == 3
    after = whole(running)
    assert after["process_start_time_seconds", "1"] > before["process_start_time_seconds", "1"]
    assert after["process_start_time_seconds", "0"] == before["process_start_time_seconds", "0"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_no_socket_or_lock_is_left_at_the_end(running: Running, folder: Path, number: signal.Signals) -> None:
    whole(running)
    assert len(list(folder.glob("gateway-*/*.sock"))) == 3
    assert running.end(number)[0] == 0
    assert list(folder.iterdir()) == []


def test_a_single_process_has_no_number_and_no_folder(folder: Path) -> None:
    server = Running(("--port", "0"), {"TMPDIR": str(folder)})
    try:
        shown = scrape(server)
        assert {key[1] for key in shown} == {""}
        assert not any(key[0] == "gateway_workers" for key in shown)
        assert list(folder.iterdir()) == []
    finally:
        kill(server.process)


@pytest.mark.parametrize(
    "junk", [b"# HELP x y\n# EOF\n", b"\xff" * 100 + b"# EOF\n", b"# EOF\n", b"", b"x" * 5_000_000]
)
async def test_malformed_metrics_of_a_worker_do_not_affect_the_scrape(tmp_path: Path, junk: bytes) -> None:
    """An oversized response is not read to its end."""

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
