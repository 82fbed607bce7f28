"""Responses as values, and error bodies in the shapes that Partner Center and related APIs document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

JSON_TYPE: Final = "application/json; charset=utf-8"
HTML_TYPE: Final = "text/html; charset=utf-8"
_SOURCE: Final = "PartnerCenterSandbox"


@dataclass(frozen=True, slots=True)
class SandboxResponse:
    """A complete response."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str | None = JSON_TYPE


@dataclass(eq=False)
class Refusal(Exception):
    """A request refused with an error status. ``shape`` is the shape of the body unless a fault overrides it."""

    status: int
    code: int | str
    description: str
    shape: str = "1"
    headers: tuple[tuple[str, str], ...] = ()

    def response(self, shape: str | None = None) -> SandboxResponse:
        """Return the error response. ``shape`` overrides the shape of the body."""
        chosen = shape or self.shape
        content_type = HTML_TYPE if chosen == "html" else None if chosen == "empty" else JSON_TYPE
        headers = self.headers
        if self.status == 401:
            # Source: Partner Center documents on errors. {cid} stands for the correlation id, which is added later.
            headers += (("WWW-Authenticate", "OAuth realm=urn:cpsvc:cpid:{cid}"),)
        return SandboxResponse(self.status, _SHAPES[chosen](self), headers, content_type)


def access_denied() -> Refusal:
    """Unknown account. Source of status and code: Partner Center documents, error codes."""
    return Refusal(401, 400, "Access denied")


def missing_token() -> Refusal:
    """Missing bearer token. Source: Partner Center documents, error codes."""
    return Refusal(401, 800001, "Partner token is missing in the request context")


def mfa_required() -> Refusal:
    """Token without the claim of multi-factor authentication."""
    return Refusal(401, 900421, "MFA required")


def not_found() -> Refusal:
    """Unknown path. Source: Partner Center documents, error codes."""
    return Refusal(404, 1000, "The resource was not found")


def method_not_allowed() -> Refusal:
    """Any method other than GET."""
    return Refusal(405, 405, "Method not allowed", headers=(("Allow", "GET"),))


def bad_parameter(message: str) -> Refusal:
    """Invalid query parameter. Source of the shape: Store analytics documents."""
    return Refusal(400, "InvalidQueryParameters", message, shape="2")


def bad_fault(message: str) -> Refusal:
    """Token with an unknown fault switch or an invalid value."""
    return Refusal(400, 800002, message)


def throttled(remaining_seconds: int, headers: tuple[tuple[str, str], ...]) -> Refusal:
    """Too many requests. Source: Partner Center documents on API throttling."""
    return Refusal(
        429, 429, f"Rate limit is exceeded. Try again in {remaining_seconds} seconds.", shape="3", headers=headers
    )


def injected_status(status: int) -> Refusal:
    """Refusal with the status of a fault, and with the error code that the documents list for that status, if any."""
    code, description = _DOCUMENTED_CODES.get(status, (status, "The sandbox was asked for this status"))
    return Refusal(status, code, description, shape="3" if status == 429 else "empty" if status in (204, 304) else "1")


_DOCUMENTED_CODES: Final[Mapping[int, tuple[int, str]]] = {
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
