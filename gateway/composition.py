"""Compose the gateway: the only module that knows every part."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext

from starlette.applications import Starlette

from gateway.access_token import AccessToken
from gateway.app import create_app
from gateway.cache.pages import CachedPages
from gateway.cache.policy import Freshness
from gateway.cache.redis_tier import RedisTier
from gateway.config.groups import EMBEDDED_SANDBOX_URL, NEW_TOKEN, CacheConfig, Limits, UpstreamConfig
from gateway.config.manifest import read_manifest
from gateway.config.proxies import proxy_networks
from gateway.config.redis_url import cache_address
from gateway.config.settings import SANDBOX, Settings, SettingsError, read_settings, variable
from gateway.dataset import Dataset
from gateway.graphiql.html_page import GraphiQL
from gateway.http.response_buffers import ResponseBuffers
from gateway.observability.logging import configure_logging
from gateway.observability.metrics import Metrics
from gateway.observability.opentelemetry import NOTHING, OpenTelemetry, opentelemetry_for
from gateway.observability.worker_scrape import Worker, Workers
from gateway.paging.blocks import BlockSizes
from gateway.paging.prefetch import Prefetch
from gateway.paging.read_ahead import ReadAhead
from gateway.sandbox import ACCOUNTS, create_sandbox
from gateway.scanning.cached_views import CachedViews
from gateway.scanning.scan import ScanRules
from gateway.scanning.sources import RowSources
from gateway.scheduling.scheduler import Scheduler
from gateway.server.process_tuning import tune_process
from gateway.single_flight import SingleFlight
from gateway.snapshots.differing_blocks import DifferingBlocks
from gateway.upstream import BlockReader, UpstreamClient
from gateway.upstream.transport import EmbeddedTransport
from schema.build import DATASETS, build_schema, sdl
from schema.execution.operations import Operations
from schema.execution.plans import Plans
from schema.execution.prepared_documents import Phase
from schema.execution.rendering import Renderer
from schema.export.arguments import ExportArguments
from schema.export.endpoint import Exports
from schema.export.shares import Shares
from schema.export.spreadsheet_formulas import FORMULAS
from schema.http.persisted_documents import AutomaticDocuments, Documents, TrustedDocuments
from schema.http.view import GraphQLView
from schema.measure_roles import measure_roles


def build(
    settings: Settings,
    otel: OpenTelemetry = NOTHING,
    workers: Workers | None = None,
    *,
    for_operator: bool = False,
) -> Starlette:
    """Return the gateway for ``settings``: an ASGI application that owns its cache, its connections and ``otel``.

    If it is one of several ``workers``, its ``/metrics`` covers all of them. If its caller is the operator, errors name
    the upstream's host. Raises SettingsError.
    """
    scheduler = Scheduler()
    phase = otel.tracing.phase if otel.tracing else nullcontext
    operations, documents = operations_of(settings, phase, Renderer(scheduler))
    metrics = Metrics(documents.operation_names)
    redis = _redis_tier(settings, metrics, scheduler)
    client = _upstream(settings, metrics, redis, otel, scheduler, for_operator=for_operator)
    differing = DifferingBlocks()
    cache = _cache(settings, client, metrics, redis, differing, scheduler)
    worker = Worker(workers, metrics) if workers and settings.metrics else None
    datasets = [dataset for dataset, _ in DATASETS]
    graphiql = _graphiql(settings, datasets)
    ahead = ReadAhead(settings.upstream_max_concurrency if settings.read_ahead else 0)
    sources = _sources(settings, cache, differing, ahead, scheduler)
    exports = _exports(settings, operations.limits, sources, scheduler, ahead)
    parts = (sources.prefetch, sources.views, cache, client)
    owned = [part for part in parts if part is not None]
    return create_app(
        _graphql(settings, operations, documents, sources, cache, graphiql, scheduler),
        metrics=metrics,
        lifespan=_lifespan(settings, owned, metrics, redis, worker, otel),
        sandbox=settings.upstream_url == SANDBOX,
        cors_origins=settings.cors_origins,
        cors_headers=settings.cors_headers,
        trusted_proxies=proxy_networks(settings.trusted_proxies),
        sdl=sdl() if settings.introspection else None,
        openapi=exports.openapi(datasets) if settings.introspection else None,
        graphiql_routes=graphiql.routes if graphiql else (),
        export_routes=exports.routes(datasets),
        show_metrics=settings.metrics,
        scrape=worker.scrape if worker else None,
        watching=[otel.tracing.layer] if otel.tracing else (),
        thread=scheduler.thread,
    )


def operations_of(
    settings: Settings, phase: Phase = nullcontext, renderer: Renderer | None = None
) -> tuple[Operations, Documents]:
    """Return the executor of operations and the source of documents. Raises SettingsError for invalid documents."""
    limits = Limits.of(settings)
    operations = Operations(
        build_schema(),
        limits,
        introspection=settings.introspection,
        fast_path=settings.fast_path,
        phase=phase,
        renderer=renderer,
    )
    if settings.trusted_documents is None:
        return operations, AutomaticDocuments()
    try:
        return operations, TrustedDocuments(read_manifest(settings.trusted_documents), operations.faults_of)
    except ValueError as error:
        name = variable("trusted_documents")
        raise SettingsError("\n".join(f"{name}: {fault}" for fault in str(error).splitlines())) from None


def create(workers: Workers | None = None) -> Starlette:
    """Return the gateway for this process's environment; each of several ``workers`` runs it.

    If the settings have become invalid, such as by the removal of a file, the process ends with one line.
    """
    try:
        settings = read_settings(os.environ)
        configure_logging(settings.log_format, settings.log_level)
        return build(settings, opentelemetry_for(os.environ), workers)
    except SettingsError as error:
        sys.exit(f"Error: Invalid settings: {'; '.join(str(error).splitlines())}")


def _redis_tier(settings: Settings, metrics: Metrics, scheduler: Scheduler) -> RedisTier | None:
    """Return the tier for ``GATEWAY_CACHE_URL``; None for memory alone.

    ``/readyz`` does not depend on it: without Redis every query is still answered.
    """
    address = cache_address(settings.cache_url)
    if address is None:
        return None
    tier = RedisTier.at(
        address,
        _upstream_config(settings).identity,
        Freshness.of(CacheConfig.of(settings)),
        scheduler,
        on_error=metrics.redis_error,
        observer=metrics.redis_page,
    )
    metrics.watch_redis(lambda: tier.store.is_left_out)
    return tier


def _upstream(
    settings: Settings,
    metrics: Metrics,
    redis: RedisTier | None,
    otel: OpenTelemetry,
    scheduler: Scheduler,
    *,
    for_operator: bool,
) -> UpstreamClient:
    client = UpstreamClient(
        _upstream_config(settings, for_operator=for_operator),
        transport=EmbeddedTransport(create_sandbox()) if settings.upstream_url == SANDBOX else None,
        scheduler=scheduler,
        shared_cooldowns=redis.cooldowns if redis else None,
        observer=otel.tracing.beside(metrics.calls.ended) if otel.tracing else metrics.calls.ended,
    )
    metrics.watch_upstream(client)
    return client


def _upstream_url(settings: Settings) -> str:
    return EMBEDDED_SANDBOX_URL if settings.upstream_url == SANDBOX else settings.upstream_url


def _upstream_config(settings: Settings, *, for_operator: bool = False) -> UpstreamConfig:
    sandbox = settings.upstream_url == SANDBOX
    token_remedy = f"The sandbox knows these: {', '.join(ACCOUNTS)}." if sandbox else NEW_TOKEN
    return UpstreamConfig.of(settings, _upstream_url(settings), token_remedy, names_host=for_operator)


def _cache(
    settings: Settings,
    client: UpstreamClient,
    metrics: Metrics,
    redis: RedisTier | None,
    differing: DifferingBlocks,
    scheduler: Scheduler,
) -> CachedPages:
    reader = BlockReader(
        client,
        max_calls=settings.max_upstream_calls,
        operation_timeout_seconds=settings.operation_timeout_seconds,
    )
    shared = redis.pages if redis else None
    cache = CachedPages(reader, CacheConfig.of(settings), shared=shared, differing=differing, scheduler=scheduler)
    metrics.watch_cache(cache)
    return cache


def _sources(
    settings: Settings, cache: CachedPages, differing: DifferingBlocks, ahead: ReadAhead, scheduler: Scheduler
) -> RowSources:
    flights, sizes = SingleFlight(cache), BlockSizes(settings.first_block_rows, settings.block_rows)
    rules = ScanRules(sizes, settings.max_scan_rows, settings.operation_timeout_seconds, ahead, differing)
    views = CachedViews(flights, cache, rules, scheduler.thread)

    def forget(token: AccessToken) -> None:
        flights.forget(token)
        views.forget(token)

    cache.on_refusal = forget
    prefetch = Prefetch(flights, sizes) if settings.read_ahead else None
    return RowSources(flights, views, sizes, _upstream_config(settings).identity, differing, prefetch)


def _graphiql(settings: Settings, datasets: Sequence[Dataset]) -> GraphiQL | None:
    if not settings.graphiql:
        return None
    return GraphiQL(
        FORMULAS,
        measures=[measure_roles(dataset) for dataset in datasets if dataset.rates],
        upstream=None if settings.upstream_url == SANDBOX else settings.upstream_url,
        trusted_only=settings.trusted_documents is not None,
        block_rows=settings.block_rows,
    )


def _graphql(
    settings: Settings,
    operations: Operations,
    documents: Documents,
    sources: RowSources,
    cache: CachedPages,
    graphiql: GraphiQL | None,
    scheduler: Scheduler,
) -> GraphQLView:
    return GraphQLView(
        operations=operations,
        documents=documents,
        sources=sources,
        buffers=ResponseBuffers(settings.max_response_buffer_bytes),
        max_request_bytes=settings.max_request_bytes,
        page=graphiql.page_response if graphiql else None,
        plans=Plans(cache) if settings.fast_path else None,
        scheduler=scheduler,
    )


def _exports(
    settings: Settings, limits: Limits, sources: RowSources, scheduler: Scheduler, ahead: ReadAhead
) -> Exports:
    arguments = ExportArguments(
        build_schema(),
        sources.upstream,
        max_filter_bytes=settings.max_filter_bytes,
        introspection=settings.introspection,
    )
    is_closed = settings.trusted_documents is not None
    shares = Shares.of(scheduler.slices, settings.max_concurrent_exports, ahead)
    return Exports(arguments, sources, limits, is_closed, shares)


def _lifespan(
    settings: Settings,
    owned: Sequence[Prefetch | CachedViews | CachedPages | UpstreamClient],
    metrics: Metrics,
    redis: RedisTier | None,
    worker: Worker | None,
    otel: OpenTelemetry,
) -> Callable[[], AbstractAsyncContextManager[None]]:
    """Return the lifespan that starts and closes every part; the cache closes before its client."""

    @asynccontextmanager
    async def run() -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(otel.aclose)
            if worker:
                stack.push_async_callback(worker.aclose)
            if redis:
                stack.push_async_callback(redis.store.aclose)
            for part in reversed(owned):
                stack.push_async_callback(part.aclose)
            if redis:
                await redis.store.start()
            if worker:
                await worker.start()
            if otel.metering:
                otel.metering.start(metrics, _upstream_url(settings))
            tune_process()
            yield

    return run
