"""HTTP client of the gateway that an export reads from: an embedded one in this process, or a running one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import click
import httpx
import msgspec

from gateway.access_token import AccessToken
from gateway.cli.export.embedded_app import StreamingTransport
from gateway.cli.export.exit_codes import ExportFailed
from gateway.cli.export.retries import BROKEN, ErrorPayload, StepFailed, unreachable
from gateway.config.environment import SettingsError, read_settings
from gateway.config.library_variables import switch_faults
from gateway.config.origin import upstream_origin
from gateway.config.settings import Settings
from gateway.http.decompression import CorruptBody, Unpack, UnsupportedCoding, unpacker
from gateway.network.causes import cause_of
from gateway.network.proxies import ProxyAddress, proxy_for, route_of
from gateway.network.trust import empty_store, trust_faults, trust_store
from gateway.network.tunnels import transport_to
from gateway.observability.logging import configure_logging

# Origin of the embedded gateway; no real host name ends like this (RFC 6761).
EMBEDDED_ORIGIN = "http://gateway.invalid"

# Brotli takes the gateway longer than zstd. Without the weight it would choose gzip.
ACCEPT_ENCODING = "zstd, gzip;q=0.5"

# Longer than a gateway's default operation timeout of 120 s, so that the gateway's own error arrives first.
READ_SECONDS = 150.0
CONNECT_SECONDS = 10.0

# Largest page of the embedded gateway; which size is sensible is the user's choice.
MAX_PAGE_ROWS = 100_000

# A few blocks of 10,000 rows: an export never reads a page twice.
CACHE_BYTES = 33_554_432


class GatewayPayload(msgspec.Struct):
    """A response in JSON."""

    errors: list[ErrorPayload] = []


Payload = TypeVar("Payload", bound=GatewayPayload)


class GatewayClient:
    """Sends requests over ``transport``, without an ``httpx.AsyncClient``.

    Each response of that client is part of a reference cycle, so megabytes of pages would wait for the garbage
    collector. It would also store cookies and log URLs.
    """

    def __init__(
        self, transport: httpx.AsyncBaseTransport, token: AccessToken, origin: str, proxy: ProxyAddress | None = None
    ) -> None:
        self._transport = transport
        self._place = route_of(origin, proxy)
        self._origin = origin
        self._headers = {
            "Authorization": f"Bearer {token.reveal()}",
            "Accept-Encoding": ACCEPT_ENCODING if origin != EMBEDDED_ORIGIN else "identity",
        }
        self._extensions = {"timeout": httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS).as_dict()}

    @asynccontextmanager
    async def response_to(self, method: str, path: str, **parts: Any) -> AsyncIterator[httpx.Response]:
        """Send a request and open its decoded response, whose body is read while it arrives. Raises StepFailed."""
        request = httpx.Request(
            method, f"{self._origin}{path}", headers=self._headers, extensions=self._extensions, **parts
        )
        try:
            response = await self._transport.handle_async_request(request)
            try:
                yield _decoded(response)
            finally:
                await response.aclose()
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> StepFailed:
        if not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            return StepFailed(BROKEN)
        return StepFailed(unreachable(self._place, cause_of(error)))


def _decoded(response: httpx.Response) -> httpx.Response:
    """Return ``response`` without its content coding. Raises ExportFailed for a coding that was not requested.

    The decoders of httpx accept truncated gzip and empty bodies, and decode zstd only with another package installed.
    """
    headers = response.headers.copy()
    try:
        unpack = unpacker(headers.pop("content-encoding", ""))
    except UnsupportedCoding:
        raise ExportFailed("The response is compressed in a way that was not requested. Check --url.") from None
    body = response.stream
    assert isinstance(body, httpx.AsyncByteStream)
    return httpx.Response(
        response.status_code, headers=headers, stream=_DecodedBody(body, unpack), extensions=response.extensions
    )


class _DecodedBody(httpx.AsyncByteStream):
    """A decoded body. Raises httpx.DecodingError if it is corrupt or truncated."""

    def __init__(self, body: httpx.AsyncByteStream, unpack: Unpack) -> None:
        self._body = body
        self._unpack = unpack

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async with aclosing(self._unpack(self._body)) as unpacked:
                async for part in unpacked:
                    yield part
        except CorruptBody:
            raise httpx.DecodingError("the body is corrupt or truncated") from None

    async def aclose(self) -> None:
        await self._body.aclose()


async def payload_of(response: httpx.Response, kind: type[Payload]) -> Payload:
    """Return the body of ``response``. Raises StepFailed for its first error, and ExportFailed if it is malformed."""
    try:
        payload = msgspec.json.decode(await response.aread(), type=kind)
    except ValueError:
        # Servers answer plain HTTP at a TLS port with 400.
        advice = " If its port speaks TLS, try https://." if response.status_code == 400 else ""
        raise ExportFailed(
            f"The response with status {response.status_code} did not come from a gateway. Check --url.{advice}"
        ) from None
    if payload.errors:
        raise StepFailed(payload.errors[0])
    return payload


@dataclass(frozen=True, slots=True)
class GatewayAccess:
    """A gateway to export from. ``source`` identifies the source of its rows; ``connection`` opens it."""

    source: str
    connection: AbstractAsyncContextManager[GatewayClient]


def gateway_for(url: str | None, upstream: str | None, token: AccessToken) -> GatewayAccess:
    """Return the gateway at ``url``, or an embedded one for the configured upstream. Raises click.UsageError."""
    if url is not None:
        if upstream is not None:
            raise click.UsageError("--url and --upstream exclude each other.")
        try:
            origin = upstream_origin(url.rstrip("/"))
        except ValueError:
            raise click.UsageError(
                "--url must be a gateway's origin such as https://gateway.example, without a path. Plain http is"
                " allowed only for loopback and private hosts, because it exposes the token."
            ) from None
        try:
            proxy_for(origin, os.environ)
        except ValueError as error:
            raise click.UsageError(f"Invalid environment:\n{error}") from None
        if faults := [*switch_faults(os.environ, only_secrets=True), *trust_faults(os.environ)]:
            raise click.UsageError("Invalid environment:\n" + "\n".join(faults))
        return GatewayAccess(f"gateway {origin}", running_gateway(origin, token))
    try:
        settings = read_settings(os.environ, {"upstream_url": upstream})
    except SettingsError as error:
        raise click.UsageError(f"Invalid settings:\n{error}") from None
    if settings.is_sandbox:
        click.echo("The upstream is the embedded sandbox: these rows are made up.", err=True)
    end = "/" if settings.upstream_trailing_slash else ""
    source = f"upstream {settings.upstream_url} {settings.upstream_path_prefix}{end}"
    return GatewayAccess(source, embedded_gateway(settings, token))


@asynccontextmanager
async def embedded_gateway(settings: Settings, token: AccessToken) -> AsyncIterator[GatewayClient]:
    """Run a gateway for this export alone. Limits for callers are lifted: the user of this command is the operator."""
    # Imported lazily: other commands need none of it.
    from gateway.composition import build

    configure_logging(settings.log_format, "error")
    changes = {
        "cache_memory_bytes": CACHE_BYTES,
        "max_first_rows": MAX_PAGE_ROWS,
        "trusted_documents": None,
        "graphiql": False,
        "metrics": False,
    }
    app = build(settings.model_copy(update=changes), for_operator=True)
    async with app.router.lifespan_context(app), StreamingTransport(app) as transport:
        yield GatewayClient(transport, token, EMBEDDED_ORIGIN)


@asynccontextmanager
async def running_gateway(origin: str, token: AccessToken) -> AsyncIterator[GatewayClient]:
    """Connect to the gateway at ``origin``. A proxy sees no token, and redirects are not followed."""
    trust = trust_store() if origin.startswith("https:") else empty_store()
    proxy = proxy_for(origin, os.environ)
    async with transport_to(trust, httpx.Limits(), proxy) as transport:
        yield GatewayClient(transport, token, origin, proxy)
