"""Whether the process lives, and whether it can serve. Neither spends upstream quota or needs a token."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_HEADERS = {"Cache-Control": "no-store"}


class Health:
    """The process's state; ``reasons`` says why it cannot serve, and is empty when it can."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {"starting": "The gateway is starting."}

    def started(self) -> None:
        """From now on requests can be served."""
        self.reasons.pop("starting", None)

    def stopping(self) -> None:
        """From now on no new request should come."""
        self.reasons["stopping"] = "The gateway is shutting down."

    @property
    def routes(self) -> list[Route]:
        """``/healthz`` and ``/readyz``."""
        return [Route("/healthz", self._healthz), Route("/readyz", self._readyz)]

    async def _healthz(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers=_HEADERS)

    async def _readyz(self, request: Request) -> Response:
        ready = not self.reasons
        body = {"status": "ready" if ready else "not ready", "reasons": list(self.reasons.values())}
        return JSONResponse(body, 200 if ready else 503, headers=_HEADERS)
