"""Announce start and end of a server: a banner for people, or JSON events for log collectors."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
import structlog

from gateway.config.environment import masked, sources
from gateway.config.library_variables import used_variables
from gateway.config.redis_url import cache_address
from gateway.config.settings import Settings, variable
from gateway.config.upstream_proxy import upstream_proxy
from gateway.observability.logging import is_json
from gateway.version import VERSION

log = structlog.get_logger("gateway")


class Announcer:
    """Announces that a server accepts connections, as ``banner`` or, if the log is JSON, as an event with ``facts``."""

    def __init__(self, *, as_json: bool, banner: str, facts: Mapping[str, Any]) -> None:
        self._as_json = as_json
        self._banner = banner
        self._facts = facts
        self._has_started = False

    def started(self, url: str) -> None:
        """Announce the start; ``{url}`` in the banner is the address."""
        self._has_started = True
        if self._as_json:
            log.info("started", version=VERSION, url=url, **self._facts)
        else:
            click.echo(self._banner.replace("{url}", url), err=True)

    @contextmanager
    def announcing_end(self) -> Iterator[None]:
        """Log the end of the block, if the server had started."""
        try:
            yield
        finally:
            if self._has_started:
                log.info("stopped", version=VERSION)


def of_gateway(settings: Settings, overrides: Mapping[str, Any]) -> Announcer:
    """Return the announcer of `gateway serve`.

    The event has the settings that differ from their defaults, and the variables of libraries that affect connections.
    """
    origins = sources(os.environ, overrides)
    given = {variable(name): shown(getattr(settings, name)) for name, origin in origins.items() if origin != "default"}
    return Announcer(
        as_json=is_json(settings.log_format),
        banner=_banner(settings),
        facts={
            "upstream": settings.upstream_url,
            **_proxy(settings),
            "settings": given,
            "environment": {name: masked(value) for name, value in used_variables(os.environ).items()},
        },
    )


def of_sandbox() -> Announcer:
    """Return the announcer of `gateway sandbox`."""
    banner = "\n  Sandbox upstream   {url}\n  Use it with        gateway --upstream {url}\n  Stop with Ctrl-C.\n"
    return Announcer(as_json=is_json("auto"), banner=banner, facts={})


def shown(value: Any) -> str:
    """Return a setting's value as it would be written in the environment, with secrets masked."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.15g}"
    return masked(",".join(value) if isinstance(value, tuple) else str(value))


def _proxy(settings: Settings) -> dict[str, str]:
    """Return the proxy's host and port by the name ``proxy``; empty without a proxy."""
    route = upstream_proxy(settings.upstream_proxy, settings.upstream_url, os.environ)
    return {"proxy": route.place} if route else {}


def _banner(settings: Settings) -> str:
    if settings.is_sandbox:
        upstream = "the embedded sandbox: made-up data, tokens contoso, fabrikam, tailspin and sample"
    else:
        upstream = settings.upstream_url
    endpoint = "GraphiQL and GraphQL" if settings.graphiql else "GraphQL"
    proxy = "".join(f"  Proxy   {place}\n" for place in _proxy(settings).values())
    redis = cache_address(settings.cache_url)
    cache = f"  Cache   memory and Redis at {redis.place}\n" if redis else ""
    return f"\n  {endpoint}   {{url}}/graphql\n  Upstream   {upstream}\n{proxy}{cache}  Stop with Ctrl-C.\n"
