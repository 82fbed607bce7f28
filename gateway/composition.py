"""Compose the gateway: the only module that knows every part."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from functools import cached_property

from starlette.applications import Starlette

from gateway.access_token import AccessToken
from gateway.app import create_app
from gateway.cache.pages import CachedPages
from gateway.cache.policy import Freshness
from gateway.cache.redis_tier import RedisTier
from gateway.config.environment import SettingsError, read_settings
from gateway.config.groups import NEW_TOKEN, CacheConfig, HttpConfig, Limits, UpstreamConfig
from gateway.config.manifest import read_manifest
from gateway.config.redis_url import cache_address
from gateway.config.settings import Settings, variable
from gateway.graphiql.html_page import GraphiQL
from gateway.http.response_buffers import ResponseBuffers
from gateway.observability.logging import configure_logging
from gateway.observability.metrics import Metrics
from gateway.observability.opentelemetry import NOTHING, OpenTelemetry, opentelemetry_for
from gateway.observability.worker_scrape import Worker, Workers
from gateway.paging.block_sizes import BlockSizes
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
    settings: Settings, otel: OpenTelemetry = NOTHING, workers: Workers | None = None, *, for_operator: bool = False
) -> Starlette:
    """Return the gateway for ``settings``: an ASGI application that owns its cache, its connections and ``otel``.

    If it is one of several ``workers``, its ``/metrics`` covers all of them. If its caller is the operator, errors name
    the upstream's host. Raises SettingsError.
    """
    return _Gateway(settings, otel, workers, for_operator=for_operator).app()


def operations_of(
    settings: Settings, phase: Phase = nullcontext, renderer: Renderer | None = None
) -> tuple[Operations, Documents]:
    """Return the executor of operations and the source of documents. Raises SettingsError for invalid documents."""
    operations = Operations(
        build_schema(),
        Limits.of(settings),
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


class _Gateway:
    """The parts of one gateway. Those that several others use are properties, built on first use."""

    def __init__(self, settings: Settings, otel: OpenTelemetry, workers: Workers | None, *, for_operator: bool) -> None:
        self._settings = settings
        self._otel = otel
        phase = otel.tracing.phase if otel.tracing else nullcontext
        self._scheduler = Scheduler()
        self._operations, self._documents = operations_of(settings, phase, Renderer(self._scheduler))
        self._metrics = Metrics(self._documents.operation_names)
        self._worker = Worker(workers, self._metrics) if workers and settings.metrics else None
        token_remedy = f"The sandbox knows these: {', '.join(ACCOUNTS)}." if settings.is_sandbox else NEW_TOKEN
        self._upstream = UpstreamConfig.of(settings, token_remedy, names_host=for_operator)
        self._differing = DifferingBlocks()
        self._ahead = ReadAhead(settings.upstream_max_concurrency if settings.read_ahead else 0)
        self._datasets = [dataset for dataset, _ in DATASETS]

    def app(self) -> Starlette:
        """Return the application."""
        settings, graphiql, exports = self._settings, self._graphiql, self._exports()
        return create_app(
            self._graphql(),
            HttpConfig.of(settings),
            metrics=self._metrics,
            lifespan=self._lifespan,
            sdl=sdl() if settings.introspection else None,
            openapi=exports.openapi(self._datasets) if settings.introspection else None,
            graphiql_routes=graphiql.routes if graphiql else (),
            export_routes=exports.routes(self._datasets),
            scrape=self._worker.scrape if self._worker else None,
            watching=[self._otel.tracing.layer] if self._otel.tracing else (),
            thread=self._scheduler.thread,
        )

    @cached_property
    def _redis(self) -> RedisTier | None:
        """The tier for ``GATEWAY_CACHE_URL``; None for memory alone.

        ``/readyz`` does not depend on it: without Redis every query is still answered.
        """
        address = cache_address(self._settings.cache_url)
        if address is None:
            return None
        tier = RedisTier.at(
            address,
            self._upstream.identity,
            Freshness.of(CacheConfig.of(self._settings)),
            self._scheduler,
            on_error=self._metrics.redis_error,
            observer=self._metrics.redis_page,
        )
        self._metrics.watch_redis(lambda: tier.store.is_left_out)
        return tier

    @cached_property
    def _client(self) -> UpstreamClient:
        observer = self._metrics.calls.ended
        client = UpstreamClient(
            self._upstream,
            transport=EmbeddedTransport(create_sandbox()) if self._settings.is_sandbox else None,
            scheduler=self._scheduler,
            shared_cooldowns=self._redis.cooldowns if self._redis else None,
            observer=self._otel.tracing.beside(observer) if self._otel.tracing else observer,
        )
        self._metrics.watch_upstream(client)
        return client

    @cached_property
    def _cache(self) -> CachedPages:
        settings = self._settings
        reader = BlockReader(
            self._client,
            max_calls=settings.max_upstream_calls,
            operation_timeout_seconds=settings.operation_timeout_seconds,
        )
        cache = CachedPages(
            reader,
            CacheConfig.of(settings),
            shared=self._redis.pages if self._redis else None,
            differing=self._differing,
            scheduler=self._scheduler,
        )
        self._metrics.watch_cache(cache)
        return cache

    @cached_property
    def _sources(self) -> RowSources:
        settings, cache = self._settings, self._cache
        flights, sizes = SingleFlight(cache), BlockSizes(settings.first_block_rows, settings.block_rows)
        rules = ScanRules(
            sizes, settings.max_scan_rows, settings.operation_timeout_seconds, self._ahead, self._differing
        )
        views = CachedViews(flights, cache, rules, self._scheduler.thread)

        def forget(token: AccessToken) -> None:
            flights.forget(token)
            views.forget(token)

        cache.on_refusal = forget
        prefetch = Prefetch(flights, sizes) if settings.read_ahead else None
        return RowSources(flights, views, sizes, self._upstream.identity, self._differing, prefetch)

    @cached_property
    def _graphiql(self) -> GraphiQL | None:
        settings = self._settings
        if not settings.graphiql:
            return None
        return GraphiQL(
            FORMULAS,
            measures=[measure_roles(dataset) for dataset in self._datasets if dataset.rates],
            upstream=None if settings.is_sandbox else settings.upstream_url,
            trusted_only=settings.trusted_documents is not None,
            block_rows=settings.block_rows,
        )

    def _graphql(self) -> GraphQLView:
        settings, graphiql = self._settings, self._graphiql
        return GraphQLView(
            operations=self._operations,
            documents=self._documents,
            sources=self._sources,
            buffers=ResponseBuffers(settings.max_response_buffer_bytes),
            max_request_bytes=settings.max_request_bytes,
            page=graphiql.page_response if graphiql else None,
            plans=Plans(self._cache) if settings.fast_path else None,
            scheduler=self._scheduler,
        )

    def _exports(self) -> Exports:
        settings = self._settings
        arguments = ExportArguments(
            build_schema(),
            self._upstream.identity,
            max_filter_bytes=settings.max_filter_bytes,
            introspection=settings.introspection,
        )
        is_closed = settings.trusted_documents is not None
        shares = Shares.of(self._scheduler.slices, settings.max_concurrent_exports, self._ahead)
        return Exports(arguments, self._sources, self._operations.limits, is_closed, shares)

    @asynccontextmanager
    async def _lifespan(self) -> AsyncIterator[None]:
        """Start and close every part; the cache closes before its client."""
        redis = self._redis.store if self._redis else None
        sources, worker, metering = self._sources, self._worker, self._otel.metering
        async with AsyncExitStack() as stack:
            for part in (self._otel, worker, redis, self._client, self._cache, sources.views, sources.prefetch):
                if part:
                    stack.push_async_callback(part.aclose)
            if redis:
                await redis.start()
            if worker:
                await worker.start()
            if metering:
                metering.start(self._metrics, self._upstream.base_url)
            tune_process()
            yield
