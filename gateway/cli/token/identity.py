"""HTTP to the identity service, in the shape that MSAL asks for.

MSAL takes what it gets on trust, so what gets to it from here is in time, of bounded size and a JSON object.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from gateway.cli.token.outcomes import NoAnswer, Unreachable
from gateway.cli.token.refusals import refusal
from gateway.upstream.transport import reason_of

# Entra answers within a second or two; MSAL itself sets no limit.
REPLY_SECONDS = 20.0
# Tokens with many groups take some 20 kB, the configuration two.
MAX_REPLY_BYTES = 1_048_576

# Printable, for the host is told in messages.
_ADDRESS = re.compile(r"https://[!-~]+")


@dataclass(frozen=True, slots=True)
class Reply:
    """What MSAL reads of a reply."""

    status_code: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)


class IdentityService:
    """The ``http_client`` of an MSAL application.

    HTTPS_PROXY counts, and further authorities are those of SSL_CERT_FILE, as for the gateway, and REQUESTS_CA_BUNDLE,
    as for Azure CLI. Raises Unreachable where the same may succeed later, else NoAnswer.
    """

    def __init__(self, reply_seconds: float = REPLY_SECONDS) -> None:
        self._reply_seconds = reply_seconds

    def get(self, url: str, *, params: Any = None, headers: Any = None, **_: Any) -> Reply:
        """Metadata. Raises what a refusal means, which MSAL would leave out of its own error."""
        status, document = self._ask("GET", url, params=params, headers=headers)
        if status != 200:
            raise refusal(document)
        return _reply(status, document)

    def post(self, url: str, *, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> Reply:
        """A form's answer, good or bad."""
        return _reply(*self._ask("POST", url, params=params, data=data, headers=headers))

    def close(self) -> None:
        """Nothing stays open between two questions."""

    def _ask(self, method: str, url: str, **parts: Any) -> tuple[int, dict[str, Any]]:
        if not _ADDRESS.fullmatch(url):
            raise NoAnswer("The identity service names an address that is not https. Check --authority.")
        host = urlsplit(url).netloc
        try:
            status, body = asyncio.run(self._exchange(method, url, **parts))
        except TimeoutError:
            raise Unreachable(f"{host} does not answer. Try again later.") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ImportError, ValueError) as error:
            raise _failed(host, error) from None
        if status == 429 or status >= 500:
            raise Unreachable(f"{host} is not available (status {status}). Try again later.")
        return status, _document(host, status, body)

    async def _exchange(self, method: str, url: str, *, headers: Any, **parts: Any) -> tuple[int, bytes]:
        body = bytearray()
        # Packed replies could be any size.
        headers = {**(headers or {}), "Accept-Encoding": "identity"}
        # A total limit: the library's own only bound the time between two bytes.
        async with (
            asyncio.timeout(self._reply_seconds),
            httpx.AsyncClient(verify=_trust(), timeout=None) as client,  # noqa: S113  # the limit above
            client.stream(method, url, headers=headers, **parts) as response,
        ):
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_REPLY_BYTES:
                    break
        return response.status_code, bytes(body[:MAX_REPLY_BYTES])


def _trust() -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    bundle = os.environ.get("REQUESTS_CA_BUNDLE")
    if bundle:
        is_folder = Path(bundle).is_dir()
        context.load_verify_locations(None if is_folder else bundle, bundle if is_folder else None)
    return context


def _failed(host: str, error: Exception) -> NoAnswer:
    reason = reason_of(error)
    if reason == "SSLCertVerificationError":
        return NoAnswer(
            f"The certificate of {host} is not trusted ({reason}). A company's own authority is, where SSL_CERT_FILE or"
            " REQUESTS_CA_BUNDLE names its file."
        )
    return Unreachable(f"{host} cannot be reached ({reason}). Check the network, HTTPS_PROXY and --authority.")


def _document(host: str, status: int, body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body, type=dict[str, Any])
        # RFC 6749, 5.2: what is not granted is an error with a name.
        if status == 200 or (400 <= status <= 499 and isinstance(document.get("error"), str)):
            return document
    except (ValueError, RecursionError):
        pass
    raise NoAnswer(
        f"{host} does not answer as an identity service does (status {status}). Check --authority, and whether a proxy"
        " answers in its place."
    )


def _reply(status: int, document: dict[str, Any]) -> Reply:
    return Reply(status, msgspec.json.encode(document).decode())
