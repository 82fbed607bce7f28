"""Responses as values, and error bodies in the shapes that Partner Center and related APIs document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

JSON_TYPE: Final = "application/json; charset=utf-8"


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
        headers = self.headers
        if self.status == 401:
            # Source: Partner Center documents on errors. {cid} stands for the correlation id, which is added later.
            headers += (("WWW-Authenticate", "OAuth realm=urn:cpsvc:cpid:{cid}"),)
        shape = shape or self.shape
        if shape == "empty":
            return SandboxResponse(self.status, b"", headers, content_type=None)
        if shape == "html":
            page = f"<html><head><title>{self.status}</title></head><body><h1>Service error</h1></body></html>"
            return SandboxResponse(self.status, page.encode(), headers, "text/html; charset=utf-8")
        return SandboxResponse(self.status, msgspec.json.encode(_JSON_BODIES[shape](self)), headers)


def refusal_with(status: int) -> Refusal:
    """Return the refusal with a status, and with the error code that the documents list for that status, if any."""
    code, description = _DOCUMENTED_CODES.get(status, (status, "The sandbox was asked for this status"))
    return Refusal(status, code, description, shape="3" if status == 429 else "empty" if status in (204, 304) else "1")


# Source: Partner Center documents, error codes.
_DOCUMENTED_CODES: Final[Mapping[int, tuple[int, str]]] = {
    400: (800002, "The request input is invalid"),
    401: (400, "Access denied"),
    403: (900150, "The role has no right to this operation"),
    404: (1000, "The resource was not found"),
    500: (800003, "An unexpected service error occurred"),
    501: (0, "Exception not defined"),
}


def _store_analytics(refusal: Refusal) -> object:
    inner = {
        "code": str(refusal.code),
        "data": [refusal.description],
        "details": [],
        "message": "One or More Query Parameters has invalid values.",
        "source": "AnalyticsAPI",
    }
    return {
        "code": "BadRequest",
        "data": [],
        "details": [],
        "innererror": inner,
        "message": "The calling client sent a bad request to the service.",
        "source": "AnalyticsAPI",
    }


_JSON_BODIES: Final[Mapping[str, Callable[[Refusal], object]]] = {
    # Partner Center
    "1": lambda refusal: {
        "code": refusal.code,
        "description": refusal.description[:1024],
        "data": [],
        "source": "PartnerCenterSandbox",
    },
    "2": _store_analytics,
    # Throttling gateway
    "3": lambda refusal: {"statusCode": refusal.status, "message": refusal.description},
    # Newer Partner API
    "4": lambda refusal: {
        "error": {
            "code": str(refusal.code),
            "message": refusal.description,
            "target": "license",
            "innerError": None,
        }
    },
    # Entra
    "5": lambda refusal: {
        "error": "invalid_grant",
        "error_description": f"AADSTS{refusal.code}: {refusal.description}",
        "error_codes": [refusal.code],
    },
}

SHAPES: Final = (*_JSON_BODIES, "html", "empty")
"""The shapes of error bodies."""
