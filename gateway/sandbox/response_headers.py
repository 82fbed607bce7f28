"""The headers of a response: content type, request and correlation ids, and those that faults add."""

from __future__ import annotations

import uuid
from base64 import b64encode
from dataclasses import replace
from email.utils import formatdate
from typing import Final

from starlette.requests import Request

from gateway.sandbox.faults import HeaderFaults
from gateway.sandbox.responses import JSON_TYPE, SandboxResponse

_IDS: Final = ("MS-CorrelationId", "MS-RequestId")


def with_headers(response: SandboxResponse, request: Request, faults: HeaderFaults, *, first: bool) -> SandboxResponse:
    """Add the headers of the Microsoft page's example. ``first`` marks the first response for the token."""
    replaced = faults.ids == "other" or (faults.ids == "other-once" and first)
    ids = [(name, _new_id() if replaced else request.headers.get(name) or _new_id()) for name in _IDS]
    headers = [(name, value.replace("{cid}", ids[0][1])) for name, value in response.headers]
    content_type = _content_type(response, faults)
    if content_type is not None:
        headers.append(("Content-Type", content_type))
    if faults.ids != "none":
        headers += ids
    headers += [("MS-CV", f"{b64encode(uuid.uuid4().bytes[:12]).decode()}.0"), ("MS-ServerId", "4")]
    headers.append(("Date", formatdate(usegmt=True)))
    if faults.cookie:
        headers.append(("Set-Cookie", f"session={_new_id()}; Path=/; HttpOnly"))
    headers += [(f"X-Needless-{number}", "x") for number in range(faults.extra)]
    return replace(response, headers=tuple(headers))


def _content_type(response: SandboxResponse, faults: HeaderFaults) -> str | None:
    if faults.content_type is None or response.content_type != JSON_TYPE:
        return response.content_type
    return None if faults.content_type == "none" else faults.content_type


def _new_id() -> str:
    return str(uuid.uuid4())
