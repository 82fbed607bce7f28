"""Exports over HTTP. A complete one is compared byte by byte; a broken one must be detectable and right so far."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import httpx
import msgspec

from tests.soak.load import Load
from tests.soak.upstream import row_count, rows

Format = Literal["csv", "ndjson"]
FORMATS: tuple[Format, ...] = ("csv", "ndjson")

COLUMNS = (
    "serviceCode", "serviceName", "channel", "customerTenantId", "customerName", "productId", "productName",
    "licensesDeployed", "licensesSold", "processedDateTime",
)  # fmt: skip


@lru_cache(maxsize=12)
def lines(token: str, version: int, kind: Format) -> tuple[bytes, ...]:
    """Return the lines of the whole file for one version of a token's rows. A CSV file begins with the header."""
    values = rows(token, 0, row_count(token), version)
    if kind == "ndjson":
        encode = msgspec.json.Encoder().encode
        return tuple(encode({name: row.get(name) for name in COLUMNS}) + b"\n" for row in values)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(values)
    return tuple(text.getvalue().encode().splitlines(keepends=True))


@dataclass
class Received:
    """The received part of an export. ``is_complete`` is False if the connection broke or the client closed it."""

    body: bytes
    snapshot: str
    is_complete: bool


async def whole_export(load: Load, token: str, kind: Format) -> None:
    """Read a whole file."""
    started = load.now()
    received = await _read(load, token, kind, started)
    if received is not None:
        check_export(load, token, kind, received, started)


async def continued_export(load: Load, token: str, kind: Format) -> None:
    """Disconnect in the middle of a file, and continue it: both parts together must be the whole file."""
    started, least_bytes = load.now(), load.random.randint(1_000, len(b"".join(lines(token, 0, kind))) - 1)
    first = await _read(load, token, kind, started, least_bytes=least_bytes)
    if first is None:
        return
    check_export(load, token, kind, first, started)
    complete_lines = first.body[: first.body.rfind(b"\n") + 1]
    offset = complete_lines.count(b"\n") - (kind == "csv")
    if first.is_complete or offset < 1:
        return
    rest = await _read(load, token, kind, started, offset=str(offset), snapshot=first.snapshot)
    if rest is None:
        return
    joined = Received(complete_lines + rest.body, first.snapshot, rest.is_complete)
    assert rest.snapshot == first.snapshot
    check_export(load, token, kind, joined, started)
    if joined.is_complete:
        load.results[f"continued {kind}"] += 1


def check_export(load: Load, token: str, kind: Format, received: Received, started: float) -> None:
    """Check that a file is one version of the token's rows: all of them if it is complete, else the first bytes."""
    versions = load.history.versions(token, started)
    files = [b"".join(lines(token, version, kind)) for version in versions]
    if received.is_complete:
        assert received.body in files, _difference(received.body, files)
        load.results[f"whole {kind}"] += 1
    else:
        assert any(file.startswith(received.body) for file in files), _difference(received.body, files)


def check_break(load: Load, token: str, error: Exception, started: float) -> None:
    """Raise ``error`` again unless an event since ``started`` explains a broken export."""
    if isinstance(error, httpx.TimeoutException) or not load.history.explains_broken_export(token, started):
        raise error
    load.results["broken export"] += 1


async def _read(
    load: Load, token: str, kind: Format, started: float, *, least_bytes: int | None = None, **parameters: str
) -> Received | None:
    """Return a file, or its beginning of ``least_bytes`` or more; None for an error that a recent event explains."""
    load.requests += 1
    body, snapshot = bytearray(), ""
    address = f"{load.url}/export/licenseDeployments.{kind}"
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": load.random.choice(["identity", "gzip"])}
    try:
        async with load.client.stream("GET", address, params=parameters, headers=headers) as response:
            if response.status_code != 200:
                load.check_refusal(msgspec.json.decode(await response.aread()), token, started)
                return None
            snapshot = response.headers["X-Snapshot"]
            async for chunk in response.aiter_bytes():
                body += chunk
                if least_bytes is not None and len(body) >= least_bytes:
                    load.results["export left"] += 1
                    return Received(bytes(body), snapshot, is_complete=False)
    except httpx.TransportError as error:
        check_break(load, token, error, started)
        return Received(bytes(body), snapshot, is_complete=False) if snapshot else None
    return Received(bytes(body), snapshot, is_complete=True)


def _difference(body: bytes, files: list[bytes]) -> str:
    received = body.splitlines()
    described = [f"{len(received)} lines"]
    for file in files:
        expected = file.splitlines()
        pairs = enumerate(zip(received, expected, strict=False))
        wrong = next((f"line {number} is {a!r}, not {b!r}" for number, (a, b) in pairs if a != b), "too few or many")
        described.append(f"of {len(expected)}: {wrong}")
    return "; ".join(described)
