"""Entity tags, with which clients ask whether a stored response is still the current one (RFC 9110, section 13)."""

from __future__ import annotations

import hashlib

from starlette.responses import Response
from starlette.types import Scope

from gateway.http.request_headers import list_header


def entity_tag(body: bytes) -> str:
    """Return the weak tag of ``body``: it is the same for every content coding."""
    return f'W/"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


def make_conditional(scope: Scope, response: Response, tag: str) -> None:
    """Give ``response`` its tag, and replace it by status 304 if the client has it already."""
    response.headers["ETag"] = tag
    # RFC 9110, section 13.1.2: weak comparison, which ignores W/.
    known = {known.strip().removeprefix("W/") for known in list_header(scope, b"if-none-match").split(",")}
    if tag.removeprefix("W/") in known or "*" in known:
        response.status_code = 304
        response.body = b""
        del response.headers["content-length"]
