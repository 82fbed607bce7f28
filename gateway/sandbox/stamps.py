"""The headers of a reply: content type, the ids of request and correlation, and what faults add."""

from __future__ import annotations

import uuid
from base64 import b64encode
from dataclasses import replace
from email.utils import formatdate
from typing import Final

from starlette.requests import Request

from gateway.sandbox.faults import Faults
from gateway.sandbox.replies import JSON_TYPE, Reply

_IDS: Final = ("MS-CorrelationId", "MS-RequestId")


def stamped(reply: Reply, request: Request, faults: Faults, *, first: bool) -> Reply:
    """The reply with the headers of the Microsoft page's example; ``first`` says if it is the token's first one."""
    other = faults.ids == "other" or (faults.ids == "other-once" and first)
    ids = [(name, _new_id() if other else request.headers.get(name) or _new_id()) for name in _IDS]
    headers = [(name, value.replace("{cid}", ids[0][1])) for name, value in reply.headers]
    content_type = _content_type(reply, faults)
    if content_type is not None:
        headers.append(("Content-Type", content_type))
    if faults.ids != "none":
        headers += ids
    headers += [("MS-CV", f"{b64encode(uuid.uuid4().bytes[:12]).decode()}.0"), ("MS-ServerId", "4")]
    headers.append(("Date", formatdate(usegmt=True)))
    if faults.cookie:
        headers.append(("Set-Cookie", f"session={_new_id()}; Path=/; HttpOnly"))
    headers += [(f"X-Needless-{number}", "x") for number in range(faults.headers)]
    return replace(reply, headers=tuple(headers))


def _content_type(reply: Reply, faults: Faults) -> str | None:
    if faults.content_type is None or reply.content_type != JSON_TYPE:
        return reply.content_type
    return None if faults.content_type == "none" else faults.content_type


def _new_id() -> str:
    return str(uuid.uuid4())
