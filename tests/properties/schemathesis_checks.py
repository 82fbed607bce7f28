"""A check for schemathesis, whose own one counts every error code that it does not know as a failure of the server."""

from __future__ import annotations

from typing import Any

import schemathesis

from gateway.errors import CallerError


def codes(kind: type[CallerError]) -> set[str]:
    """Return the codes of ``kind`` and its subclasses."""
    own = {kind.code} if hasattr(kind, "code") else set()
    return own.union(*(codes(inner) for inner in kind.__subclasses__()))


@schemathesis.check
def only_callers_err(ctx: Any, response: Any, case: Any) -> None:
    """Server error, unless every error is the caller's to correct."""
    errors = response.json().get("errors", [])
    wrong = [error for error in errors if error.get("extensions", {}).get("code") not in codes(CallerError)]
    assert response.status_code < 500 and not wrong, f"Server error: {wrong}"  # noqa: PT018
