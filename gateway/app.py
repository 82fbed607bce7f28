"""The web application: routes, and the middleware stack as one list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import BadRequest
from gateway.http.compression import COMPRESS_FROM_BYTES, Compress
from gateway.http.cors import CrossSite
from gateway.http.error_responses import error_response
from gateway.http.health import Health, LastCall
from gateway.observability.access_log import RequestLog
from gateway.observability.metrics import Metrics

# Serves a scrape of ``/metrics``.
Scrape = Callable[[], Awaitable[Response]]

Lifespan = Callable[[], AbstractAsyncContextManager[None]]


def create_app(
    graphql: ASGIApp,
    *,
    metrics: Metrics,
    lifespan: Lifespan,
    sandbox: bool,
    cors_origins: Sequence[str] = (),
    sdl: str | None = None,
    graphiql_routes: Sequence[BaseRoute] = (),
    export_routes: Sequence[BaseRoute] = (),
    show_metrics: bool = True,
    scrape: Scrape | None = None,
    watching: Sequence[Middleware] = (),
) -> Starlette:
    """Build the application around the GraphQL endpoint. ``sdl`` is None if introspection is off.

    ``scrape`` serves ``/metrics`` if that covers more than this process. ``watching`` is middleware that needs the
    correlation id.
    """
    health = Health()
    routes: list[BaseRoute] = [
        Route("/graphql", graphql),
        Route("/", _home if graphiql_routes else _no_home),
        *graphiql_routes,
        *export_routes,
        *health.routes,
        *_schema_routes(sdl),
        *(_metrics_routes(metrics, scrape) if show_metrics else ()),
    ]
    stack = _middleware(health, metrics, watching, sandbox=sandbox, cors_origins=cors_origins)
    app = _Gateway(
        routes=routes,
        middleware=stack,
        exception_handlers={HTTPException: _http_error},
        lifespan=_lifespan(lifespan, health),
    )
    app.router.redirect_slashes = False
    app.graphql = _wrapped(graphql, stack)
    return app


class _Gateway(Starlette):
    """Starlette with a shortcut to the endpoint: it skips the router, but not the middleware stack."""

    graphql: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/graphql":
            scope["app"] = self
            await self.graphql(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _middleware(
    health: Health, metrics: Metrics, watching: Sequence[Middleware], *, sandbox: bool, cors_origins: Sequence[str]
) -> list[Middleware]:
    """Return the middleware stack, outermost layer first."""
    return [
        Middleware(RequestLog, metrics=metrics, sandbox=sandbox),
        *watching,
        Middleware(LastCall, health=health),
        Middleware(CrossSite, origins=tuple(cors_origins)),
        Middleware(Compress, minimum_size=COMPRESS_FROM_BYTES),
    ]


def _schema_routes(sdl: str | None) -> list[Route]:
    return [] if sdl is None else [Route("/schema.graphql", _endpoint(lambda: PlainTextResponse(sdl)))]


def _metrics_routes(metrics: Metrics, scrape: Scrape | None) -> list[Route]:
    return [Route("/metrics", _async_endpoint(scrape) if scrape else _endpoint(metrics.response))]


def _wrapped(app: ASGIApp, stack: Sequence[Middleware]) -> ASGIApp:
    for layer in reversed(stack):
        app = layer.cls(app, *layer.args, **layer.kwargs)
    return app


def _lifespan(inner: Lifespan, health: Health) -> Callable[[Starlette], AbstractAsyncContextManager[dict[str, object]]]:
    @asynccontextmanager
    async def run(app: Starlette) -> AsyncIterator[dict[str, object]]:
        async with inner():
            health.started()
            # The server calls this as soon as a signal stops it, long before the lifespan ends.
            yield {"stopping": health.stopping}
            health.stopping()

    return run


async def _home(request: Request) -> Response:
    return RedirectResponse("graphql", headers={"Cache-Control": "no-store"})


async def _no_home(request: Request) -> Response:
    return PlainTextResponse("This is a GraphQL gateway. POST operations to /graphql.\n")


def _endpoint(make: Callable[[], Response]) -> Callable[[Request], Response]:
    """Return an endpoint that creates a new response per request, because middleware modifies it."""

    def respond(request: Request) -> Response:
        return make()

    return respond


def _async_endpoint(make: Scrape) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        return await make()

    return respond


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    message = {404: "There is no such path. The endpoint is /graphql.", 405: "This method is not allowed here."}
    text = message.get(status, "The request failed. Check its path and method.")
    correlation_id = request.scope["state"]["correlation_id"]
    return error_response(BadRequest(text, status=status), correlation_id, headers=headers)
