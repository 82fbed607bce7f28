"""A request's headers by name: looked through once, for every layer that wants one of them."""

from __future__ import annotations

from starlette.types import Scope


def named_headers(scope: Scope) -> dict[bytes, bytes]:
    """The headers by name, in lower case as ASGI has it; of several with one name the first.

    They are kept in the request's scope: each layer asks, and a look through all of them costs more than its work.
    """
    state = scope.setdefault("state", {})
    found: dict[bytes, bytes] | None = state.get("headers")
    if found is None:
        found = state["headers"] = dict(reversed(scope["headers"]))
    return found
