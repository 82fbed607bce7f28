"""The one place that wires everything together."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.observability.opentelemetry import NOTHING, OpenTelemetry, opentelemetry_for

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from gateway.cache.cooldowns import RedisCooldowns
    from gateway.cache.freshness import Freshness
    from gateway.cache.redis_store import RedisStore
    from gateway.cache.shared import SharedPages
    from gateway.config.settings import Settings
    from gateway.observability.metrics import Metrics
    from gateway.observability.worker_scrape import Workers
    from schema.execution.operations import Operations, Phase
    from schema.http.persisted_documents import Documents


def build(settings: Settings, otel: OpenTelemetry = NOTHING, workers: Workers | None = None) -> Starlette:
    """The whole gateway for ``settings``: an ASGI application that owns its cache, its connections and ``otel``.

    Where it is one of several ``workers``, its ``/metrics`` tells of all.
    """
    # Imported here so that `gateway --help` need not wait for them.
    from gateway.app import create_app
    from gateway.cache.freshness import Freshness
    from gateway.cache.pages import CachedPages
    from gateway.cache.size import page_size_bytes
    from gateway.config.settings import SANDBOX
    from gateway.graphiql.page import GraphiQL
    from gateway.observability.metrics import Metrics
    from gateway.observability.worker_scrape import Worker
    from gateway.paging.blocks import BlockSizes
    from gateway.sandbox import ACCOUNTS, create_sandbox
    from gateway.server.process_tuning import tune_process
    from gateway.single_flight import SingleFlight
    from gateway.upstream import NEW_TOKEN, BlockReader, UpstreamClient
    from gateway.upstream.embedded import EmbeddedTransport
    from schema.build import DATASETS, build_schema, sdl
    from schema.execution.plans import Plans
    from schema.export.arguments import ExportArguments
    from schema.export.endpoint import Exports
    from schema.http.view import FastPath, GraphQLView

    tracing = otel.tracing
    operations, documents = operations_of(settings, tracing.phase if tracing else nullcontext)
    sandbox = settings.upstream_url == SANDBOX
    upstream_url = "http://sandbox.invalid" if sandbox else settings.upstream_url
    metrics = Metrics(documents.operation_names)
    freshness = Freshness(settings.cache_fresh_seconds, settings.cache_stale_seconds)
    redis = _redis_tier(settings, freshness, metrics)
    client = UpstreamClient(
        base_url=upstream_url,
        path_prefix=settings.upstream_path_prefix,
        trailing_slash=settings.upstream_trailing_slash,
        timeout_seconds=settings.upstream_timeout_seconds,
        operation_timeout_seconds=settings.operation_timeout_seconds,
        max_retries=settings.upstream_max_retries,
        max_concurrency=settings.upstream_max_concurrency,
        max_connections=settings.upstream_max_connections,
        max_body_bytes=settings.upstream_max_body_bytes,
        transport=EmbeddedTransport(create_sandbox()) if sandbox else None,
        token_remedy=f"The sandbox knows these: {', '.join(ACCOUNTS)}." if sandbox else NEW_TOKEN,
        shared_cooldowns=redis.cooldowns if redis else None,
        observer=tracing.beside(metrics.upstream_call_ended) if tracing else metrics.upstream_call_ended,
    )
    cache = CachedPages(
        BlockReader(
            client,
            max_calls=settings.max_upstream_calls,
            clock=time.time,
            operation_timeout_seconds=settings.operation_timeout_seconds,
        ),
        max_bytes=settings.cache_memory_bytes,
        freshness=freshness,
        first_block_rows=settings.first_block_rows,
        block_rows=settings.block_rows,
        size_of=page_size_bytes,
        shared=redis.pages if redis else None,
    )
    metrics.watch_cache(cache)
    metrics.watch_upstream(client)
    worker = Worker(workers, metrics) if workers and settings.metrics else None
    trusted_only = settings.trusted_documents is not None
    graphiql = GraphiQL(sandbox=sandbox, trusted_only=trusted_only) if settings.graphiql else None
    source = SingleFlight(cache)
    sizes = BlockSizes(settings.first_block_rows, settings.block_rows)
    view = GraphQLView(
        operations=operations,
        documents=documents,
        source=source,
        sizes=sizes,
        limits=operations.limits,
        max_request_bytes=settings.max_request_bytes,
        page=graphiql.page_response if graphiql else None,
        fast_path=FastPath(Plans(), cache) if settings.fast_path else None,
    )

    exports = Exports(
        ExportArguments(
            build_schema(), max_filter_bytes=settings.max_filter_bytes, introspection=settings.introspection
        ),
        source,
        sizes,
        operations.limits,
        is_closed=trusted_only,
    )

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        if redis:
            await redis.store.start()
        if worker:
            await worker.start()
        if otel.metering:
            otel.metering.start(metrics, upstream_url)
        tune_process()
        try:
            yield
        finally:
            await cache.aclose()
            await client.aclose()
            if redis:
                await redis.store.aclose()
            if worker:
                await worker.aclose()
            await otel.aclose()

    return create_app(
        view,
        metrics=metrics,
        lifespan=lifespan,
        sandbox=sandbox,
        cors_origins=settings.cors_origins,
        sdl=sdl() if settings.introspection else None,
        graphiql_routes=graphiql.routes if graphiql else (),
        export_routes=exports.routes([dataset for dataset, _ in DATASETS]),
        show_metrics=settings.metrics,
        scrape=worker.scrape if worker else None,
        watching=[tracing.layer] if tracing else (),
    )


def operations_of(settings: Settings, phase: Phase = nullcontext) -> tuple[Operations, Documents]:
    """What runs operations, and what finds their documents. Raises SettingsError about documents that cannot run."""
    from gateway.config.manifest import read_manifest
    from gateway.config.settings import SettingsError, variable
    from schema.build import build_schema
    from schema.execution.context import Limits
    from schema.execution.operations import Operations
    from schema.http.persisted_documents import AutomaticDocuments, TrustedDocuments

    limits = Limits(**{name: getattr(settings, name) for name in Limits.__dataclass_fields__})
    operations = Operations(
        build_schema(),
        limits,
        introspection=settings.introspection,
        fast_path=settings.fast_path,
        phase=phase,
    )
    if settings.trusted_documents is None:
        return operations, AutomaticDocuments(operations.faults_of)
    try:
        return operations, TrustedDocuments(read_manifest(settings.trusted_documents), operations.faults_of)
    except ValueError as error:
        name = variable("trusted_documents")
        raise SettingsError("\n".join(f"{name}: {fault}" for fault in str(error).splitlines())) from None


@dataclass(frozen=True, slots=True)
class _RedisTier:
    """What several processes share."""

    store: RedisStore
    pages: SharedPages
    cooldowns: RedisCooldowns


def _redis_tier(settings: Settings, freshness: Freshness, metrics: Metrics) -> _RedisTier | None:
    """The tier that ``GATEWAY_CACHE_URL`` asks for; None for memory alone.

    It is no reason for ``/readyz`` to say no: without Redis every question is still answered.
    """
    from gateway.config.redis_url import cache_address

    address = cache_address(settings.cache_url)
    if address is None:
        return None
    # Imported here, for memory alone has no use for ciphers and compression.
    from gateway.cache.cooldowns import RedisCooldowns
    from gateway.cache.redis_store import RedisStore
    from gateway.cache.shared import SharedPages

    store = RedisStore(address, on_error=metrics.redis_failed)
    metrics.watch_redis(lambda: store.is_left_out)
    return _RedisTier(store, SharedPages(store, freshness, observer=metrics.redis_page), RedisCooldowns(store))


def create(workers: Workers | None = None) -> Starlette:
    """The gateway for the process's environment; what each of several ``workers`` runs."""
    from gateway.config.settings import read_settings
    from gateway.observability.metrics import configure_logging

    settings = read_settings(os.environ)
    configure_logging(settings.log_format, settings.log_level)
    return build(settings, opentelemetry_for(os.environ), workers)
