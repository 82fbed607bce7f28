"""The web application: routes, and the middleware stack as one list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Match, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Lifespan as StarletteLifespan

from gateway.config.groups import HttpConfig
from gateway.errors import BadRequest
from gateway.http.compression import Compress
from gateway.http.cors import CrossOriginResponses, CrossSite
from gateway.http.descriptions import description_routes
from gateway.http.error_responses import refused
from gateway.http.forwarded import ForwardedHeaders, public_prefix
from gateway.http.header_lists import BoundedHeaderLists
from gateway.http.health import Health, LastCall
from gateway.observability.access_log import RequestLog
from gateway.observability.metrics import Metrics
from gateway.scheduling.worker_thread import WorkerThread

# Serves a scrape of ``/metrics``.
Scrape = Callable[[], Awaitable[Response]]

Lifespan = Callable[[], AbstractAsyncContextManager[None]]

GRAPHQL_PATH = "/graphql"


def create_app(
    graphql: ASGIApp,
    config: HttpConfig,
    *,
    metrics: Metrics,
    lifespan: Lifespan,
    sdl: str | None = None,
    openapi: Mapping[str, Any] | None = None,
    graphiql_routes: Sequence[BaseRoute] = (),
    export_routes: Sequence[BaseRoute] = (),
    scrape: Scrape | None = None,
    watching: Sequence[Middleware] = (),
    thread: WorkerThread | None = None,
) -> Starlette:
    """Build the application around the GraphQL endpoint. ``sdl`` is None if introspection is off, and ``openapi``
    also if there are no exports.

    ``scrape`` serves ``/metrics`` if the metrics of other processes are included. ``watching`` lists middleware that
    needs the correlation id, such as tracing. Large responses are compressed in ``thread``.
    """
    health = Health()
    routes: list[BaseRoute] = [
        Route("/", _home if graphiql_routes else _no_home),
        *graphiql_routes,
        *export_routes,
        *health.routes,
        *description_routes(sdl, openapi, is_forwarded=bool(config.trusted_proxies)),
        *(_metrics_routes(metrics, scrape) if config.shows_metrics else ()),
    ]
    app = GatewayApp(middleware=_middleware(config, health, metrics, watching, thread or WorkerThread()))
    app.router = GatewayRouter(graphql, routes, _lifespan(lifespan, health))
    return app


class GatewayApp(Starlette):
    """Starlette without its own two error layers: the access log and the router respond to every error themselves."""

    def build_middleware_stack(self) -> ASGIApp:
        """Wrap the router in the middleware, outermost layer first."""
        app: ASGIApp = self.router
        for layer, arguments, options in reversed(self.user_middleware):
            app = layer(app, *arguments, **options)
        return app


class GatewayRouter(Router):
    """A router that finds ``/graphql`` by one comparison, and responds to errors such as 404 in GraphQL form.

    Matching patterns would take a tenth of the time of a cached response.
    """

    def __init__(
        self, graphql: ASGIApp, routes: Sequence[BaseRoute], lifespan: StarletteLifespan[Starlette] | None
    ) -> None:
        self._graphql = graphql
        self._route = Route(GRAPHQL_PATH, graphql)
        super().__init__([self._route, *routes], redirect_slashes=False, lifespan=lifespan)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # type: ignore[override]
        """Serve one request. The scope names its route, as after a match by Starlette."""
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            return self._options(scope)(scope, receive, send)
        if scope["type"] == "http" and scope["path"] == self._route.path:
            scope["router"], scope["route"] = self, self._route
            scope["endpoint"], scope["path_params"] = self._graphql, {}
            return self._graphql(scope, receive, send)
        return self._match(scope, receive, send)

    def _options(self, scope: Scope) -> Response:
        """Return the response to OPTIONS, which proxies send as a health check: the methods of the path (or ``*``)."""
        allowed = self._allowed(scope)
        return Response(status_code=204, headers=allowed) if allowed else _http_error(scope, HTTPException(404))

    def _allowed(self, scope: Scope) -> dict[str, str]:
        """Return the header with the methods of the path (RFC 9110, section 10.2.1); empty for an unknown path."""
        routes = [route for route in self.routes if isinstance(route, Route)]
        if scope["path"] != "*":
            routes = [route for route in routes if route.matches(scope)[0] is not Match.NONE]
        methods = {"OPTIONS"}.union(*(self._methods_of(route) for route in routes))
        return {"Allow": ", ".join(sorted(methods))} if routes else {}

    def _methods_of(self, route: Route) -> set[str]:
        # Endpoints that check the method themselves have no list of methods; all but /graphql serve only GET.
        return set(route.methods or (("GET", "HEAD", "POST") if route is self._route else ("GET",)))

    async def _match(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except HTTPException as error:
            if error.status_code == 405:
                # Starlette's own list lacks OPTIONS.
                error.headers = self._allowed(scope)
            await _http_error(scope, error)(scope, receive, send)


def _middleware(
    config: HttpConfig, health: Health, metrics: Metrics, watching: Sequence[Middleware], thread: WorkerThread
) -> list[Middleware]:
    """Return the middleware stack, outermost layer first."""
    origins, networks = config.cors_origins, config.trusted_proxies
    return [
        *([Middleware(CrossOriginResponses, origins=origins)] if origins else ()),
        Middleware(RequestLog, metrics=metrics, sandbox=config.is_sandbox),
        Middleware(BoundedHeaderLists),
        *([Middleware(ForwardedHeaders, networks=networks)] if networks else ()),
        *watching,
        Middleware(CrossSite, origins=origins, headers=config.cors_headers),
        # Inside CrossSite: after a refused preflight, a page could not read the 503 that follows.
        Middleware(LastCall, health=health),
        Middleware(Compress, whole_path=GRAPHQL_PATH, thread=thread),
    ]


def _metrics_routes(metrics: Metrics, scrape: Scrape | None) -> list[Route]:
    return [Route("/metrics", _async_endpoint(scrape) if scrape else _endpoint(metrics.response))]


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
    # Relative, for proxies that add a path without reporting it.
    prefix = public_prefix(request.scope)
    return RedirectResponse(f"{prefix}{GRAPHQL_PATH}" if prefix else "graphql", headers={"Cache-Control": "no-store"})


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


def _http_error(scope: Scope, error: HTTPException) -> Response:
    is_export = scope["path"].startswith("/export/")
    messages = {
        404: "There is no such export. Check its name. Exports over HTTP end in .csv or .ndjson."
        if is_export
        else "There is no such path. The endpoint is /graphql.",
        405: "This method is not allowed here.",
    }
    text = messages.get(error.status_code, "The request failed. Check its path and method.")
    refusal = BadRequest(text, status=error.status_code)
    return refused(scope, refusal, dict(error.headers or {}))
