"""Replies as values, and the bodies of errors in the shapes that Partner Center and its relatives document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

JSON_TYPE: Final = "application/json; charset=utf-8"
HTML_TYPE: Final = "text/html; charset=utf-8"
_SOURCE: Final = "PartnerCenterSandbox"


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str | None = JSON_TYPE
    rows: int = 0


@dataclass(eq=False)
class Refusal(Exception):
    """A request that is answered with an error. ``shape`` is the body's shape when no fault asks for another one."""

    status: int
    code: int | str
    description: str
    shape: str = "1"
    headers: tuple[tuple[str, str], ...] = ()

    def reply(self, shape: str | None = None) -> Reply:
        """The reply in its own shape or in that of a fault."""
        chosen = shape or self.shape
        content_type = HTML_TYPE if chosen == "html" else None if chosen == "empty" else JSON_TYPE
        headers = self.headers
        if self.status == 401:
            # Partner Center's documents show this on errors; {cid} is the correlation id, known only later.
            headers += (("WWW-Authenticate", "OAuth realm=urn:cpsvc:cpid:{cid}"),)
        return Reply(self.status, _SHAPES[chosen](self), headers, content_type)


def access_denied() -> Refusal:
    """No known account: status and code as in the Partner Center documents (error codes)."""
    return Refusal(401, 400, "Access denied")


def missing_token() -> Refusal:
    """No bearer token at all (Partner Center documents, error codes)."""
    return Refusal(401, 800001, "Partner token is missing in the request context")


def mfa_required() -> Refusal:
    """The token lacks the claim of multi-factor authentication."""
    return Refusal(401, 900421, "MFA required")


def not_found() -> Refusal:
    """No such path (Partner Center documents, error codes)."""
    return Refusal(404, 1000, "The resource was not found")


def method_not_allowed() -> Refusal:
    """The endpoint only knows GET."""
    return Refusal(405, 405, "Method not allowed", headers=(("Allow", "GET"),))


def bad_parameter(message: str) -> Refusal:
    """A parameter that cannot be used: the answer that Store analytics documents for it."""
    return Refusal(400, "InvalidQueryParameters", message, shape="2")


def bad_fault(message: str) -> Refusal:
    """A token with a fault switch that the sandbox does not know."""
    return Refusal(400, 800002, message)


def throttled(remaining_seconds: int, headers: tuple[tuple[str, str], ...]) -> Refusal:
    """Too many requests, as the documents on API throttling show it."""
    return Refusal(
        429, 429, f"Rate limit is exceeded. Try again in {remaining_seconds} seconds.", shape="3", headers=headers
    )


def asked_for(status: int) -> Refusal:
    """A status that a fault asks for, with the code that the documents list for it, where they list one."""
    code, description = _LISTED.get(status, (status, "The sandbox was asked for this status"))
    return Refusal(status, code, description, shape="3" if status == 429 else "empty" if status in (204, 304) else "1")


_LISTED: Final[Mapping[int, tuple[int, str]]] = {
    400: (800002, "The request input is invalid"),
    401: (400, "Access denied"),
    403: (900150, "The role has no right to this operation"),
    404: (1000, "The resource was not found"),
    500: (800003, "An unexpected service error occurred"),
    501: (0, "Exception not defined"),
}


def _partner_center(refusal: Refusal) -> bytes:
    body: dict[str, object] = {
        "code": refusal.code,
        "description": refusal.description[:1024],
        "data": [],
        "source": _SOURCE,
    }
    return msgspec.json.encode(body)


def _store(refusal: Refusal) -> bytes:
    inner = {
        "code": str(refusal.code),
        "data": [refusal.description],
        "details": [],
        "message": "One or More Query Parameters has invalid values.",
        "source": "AnalyticsAPI",
    }
    message = "The calling client sent a bad request to the service."
    body: dict[str, object] = {"code": "BadRequest", "data": [], "details": [], "innererror": inner, "message": message}
    return msgspec.json.encode({**body, "source": "AnalyticsAPI"})


def _gateway(refusal: Refusal) -> bytes:
    return msgspec.json.encode({"statusCode": refusal.status, "message": refusal.description})


def _newer_partner_api(refusal: Refusal) -> bytes:
    error = {"code": str(refusal.code), "message": refusal.description, "target": "license", "innerError": None}
    return msgspec.json.encode({"error": error})


def _entra(refusal: Refusal) -> bytes:
    text = f"AADSTS{refusal.code}: {refusal.description}"
    return msgspec.json.encode({"error": "invalid_grant", "error_description": text, "error_codes": [refusal.code]})


def _html(refusal: Refusal) -> bytes:
    return f"<html><head><title>{refusal.status}</title></head><body><h1>Service error</h1></body></html>".encode()


_SHAPES: Final[Mapping[str, Callable[[Refusal], bytes]]] = {
    "1": _partner_center,
    "2": _store,
    "3": _gateway,
    "4": _newer_partner_api,
    "5": _entra,
    "html": _html,
    "empty": lambda _: b"",
}
