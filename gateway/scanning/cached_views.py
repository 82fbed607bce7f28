"""CachedViews: the views of queries, cached per token beside the blocks that they were built from."""

from __future__ import annotations

import asyncio
import contextvars
import math
from dataclasses import replace

from gateway.access_token import AccessToken
from gateway.cache.block import query_key_of
from gateway.cache.packing import Packed
from gateway.cache.pages import CachedPages
from gateway.cache.policy import stale_warning
from gateway.cache.renderings import KeptRenderings
from gateway.caller import Budget, Caller
from gateway.errors import QueryTooComplex, ServiceUnavailable
from gateway.page import CacheState, PageSource
from gateway.query import PageQuery
from gateway.scanning.building import Building, Demand
from gateway.scanning.computations import Computations
from gateway.scanning.scan import Scan, ScanRules
from gateway.scanning.scan_permits import SCANS, SCANS_PER_TOKEN, ScanPermit
from gateway.scanning.tables import ScannedTable, grouped_table, import_tables, unpacked_table
from gateway.scanning.view import View
from gateway.scheduling.fair_permits import FairPermits
from gateway.scheduling.worker_thread import WorkerThread
from gateway.single_flight import being_cancelled

# Packed tables of more than 20,000 rows: they take 9 bytes a row (measured).
LARGE_PACKED_BYTES = 180_000


class CachedViews:
    """Views cached per token, query and mode of grouping, within the memory tier's limit.

    A view is as fresh as its oldest block. A stale one is answered at once while the next one is built. Callers that
    ask for the same view share one scan.

    ``scan_permits`` bound the scans that hold rows. Each keeps its permit until its view is in the cache, which counts
    it, or is returned uncached.
    """

    def __init__(
        self, source: PageSource, pages: CachedPages, rules: ScanRules, thread: WorkerThread | None = None
    ) -> None:
        self._source = source
        self._pages = pages
        self._rules = rules
        self.computations = Computations(thread or WorkerThread())
        self.scan_permits = FairPermits(SCANS_PER_TOKEN, SCANS)
        self._unpacking = asyncio.Lock()
        self._has_imported = False
        self._importing = asyncio.Lock()
        self._buildings: dict[str, Building] = {}
        self._tasks: set[asyncio.Task[View | None]] = set()

    async def view(self, query: PageQuery, caller: Caller, *, is_by_rows: bool = False) -> View:
        """Return the view of ``query``: its rows, or its groups as the upstream or the gateway makes them.

        Raises GatewayError; at the caller's deadline DeadlineExceeded with the progress. Whoever asks again continues
        the scan.
        """
        if is_by_rows and query.group_by:
            return await self._grouped(query, caller)
        key = _key(query, caller, "view")
        while True:
            cached = await self._cached(key, caller)
            if cached is not None and cached.cache is CacheState.STALE and key not in self._buildings:
                self._start(key, replace(query, revalidate=True), _heir(caller), is_refresh=True)
            if cached is not None:
                return cached
            running = self._buildings.get(key)
            building = running or self._start(key, query, caller)
            try:
                view = await self._result(key, building, caller)
            except QueryTooComplex:
                # The calls of a scan count for the operation that started it. This one may still make its own.
                if running is None or running.progress.known_rows > self._rules.max_rows:
                    raise
                view = None
            if view is not None:
                return view
            # Its callback may not have run yet.
            self._forget(key, building)

    def forget(self, token: AccessToken) -> None:
        """Stop sharing the scans of ``token`` with later callers: the upstream has refused the token."""
        for key in [key for key, building in self._buildings.items() if building.locator == token.locator]:
            del self._buildings[key]

    async def aclose(self) -> None:
        """Cancel every scan."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _grouped(self, query: PageQuery, caller: Caller) -> View:
        """Return the groups that the gateway makes of all rows."""
        all_rows = replace(query, group_by=())
        # A newer block of the rows that conflicts evicts the groups, too.
        key = _key(all_rows, caller, f"rows by {','.join(query.group_by)}")
        cached = await self._cached(key, caller)
        if cached is not None and cached.cache is CacheState.HIT:
            return cached
        with self._pages.reads.under_way(caller.token.locator) as read:
            rows = await self.view(all_rows, caller)
            if cached is not None and cached.reading is rows.reading:
                return cached
            async with rows.permit():
                # Meanwhile another caller may have grouped them.
                kept: View | None = self._pages.store.peek(key)
                if kept is not None and kept.reading is rows.reading and not isinstance(kept.content, Packed):
                    return kept.having(cache=rows.cache, stale_warnings=rows.stale_warnings)
                table = await grouped_table(rows.table, query, rows.computations.in_thread)
                view = rows.having(table=table, dimensions=query.group_by, is_by_rows=True, kept=None)
                return view if read.void else await self._keep(key, all_rows, caller, view)

    async def _cached(self, key: str, caller: Caller) -> View | None:
        """Return the cached view, fresh or stale; None if it must be built."""
        pages = self._pages
        view: View | None = await pages.store.get(key)
        now = pages.clock.monotonic()
        if view is None or pages.seconds_left(caller) <= 0:
            return None
        state = pages.freshness.state(view, now)
        if state is CacheState.MISS:
            return None
        view = await self._unpacked(key, view, caller)
        if view is None:
            return None
        warnings = (stale_warning(view, now),) if state is CacheState.STALE else ()
        return view.having(cache=state, stale_warnings=warnings)

    async def _unpacked(self, key: str, view: View, caller: Caller) -> View | None:
        """Return the view with its table unpacked, if it was packed; None if that is not possible."""
        packer, owner = self._pages.packer, caller.token.locator
        if not isinstance(view.content, Packed) or len(view.content.data) < LARGE_PACKED_BYTES:
            return await packer.unpacked(key, view, owner, unpacked_table, _size_bytes)
        async with self._unpacking:
            await self.computations.room()
            return await packer.unpacked(key, view, owner, unpacked_table, _size_bytes)

    def _start(self, key: str, query: PageQuery, caller: Caller, *, is_refresh: bool = False) -> Building:
        """Start to build a view for callers who will wait for it, or to refresh a stale one."""
        demand = Demand(is_refresh, waiters=int(is_refresh))
        permit = ScanPermit(self.scan_permits, caller.token.locator, demand.is_patient, self.computations.room)
        scan = Scan(self._source, query, caller, self._rules, demand.is_wanted, permit)
        task = asyncio.create_task(self._built(key, query, caller, scan, permit), context=contextvars.Context())
        building = Building(task, caller.token.locator, scan.progress, permit, demand)
        self._buildings[key] = building
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(key, building))
        return building

    async def _result(self, key: str, building: Building, caller: Caller) -> View | None:
        """Wait for a view; None if its scan was stopped because nobody waited. Raises GatewayError."""
        building.demand.waiters += 1
        try:
            async with asyncio.timeout_at(None if math.isinf(caller.deadline) else caller.deadline):
                return await asyncio.shield(building.task)
        except TimeoutError:
            raise building.late() from None
        except asyncio.CancelledError:
            if building.task.cancelled() and not being_cancelled():
                raise ServiceUnavailable("The gateway is shutting down. Retry.") from None
            raise
        finally:
            building.demand.waiters -= 1
            if not building.demand.is_wanted() and building.permit.is_waiting:
                # It has not begun to read all rows, so it gives up its place.
                self._forget(key, building)
                building.task.cancel()

    def _forget(self, key: str, building: Building) -> None:
        if self._buildings.get(key) is building:
            del self._buildings[key]

    def _ended(self, key: str, building: Building) -> None:
        self._tasks.discard(building.task)
        self._forget(key, building)
        if not building.task.cancelled():
            # Retrieve the exception, or asyncio logs that it was never retrieved.
            building.task.exception()

    async def _built(self, key: str, query: PageQuery, caller: Caller, scan: Scan, permit: ScanPermit) -> View | None:
        async with permit:
            with self._pages.reads.under_way(caller.token.locator) as read:
                view = await self._scanned(query, caller, scan)
                return view if view is None or read.void else await self._keep(key, query, caller, view)

    async def _scanned(self, query: PageQuery, caller: Caller, scan: Scan) -> View | None:
        await self._import_tables()
        computations = self.computations.of(caller.token.locator)
        tables = ScannedTable(query, computations.in_thread)
        reading = await scan.run(tables.consumer)
        if reading is None:
            return None
        dimensions = query.group_by or query.dataset.dimensions
        table = await tables.table()
        view = View(table, reading, dimensions, is_by_rows=False, computations=computations, cache=reading.cache)
        if reading.cache is CacheState.STALE:
            view = view.having(stale_warnings=(stale_warning(view, self._pages.clock.monotonic()),))
        return view

    async def _import_tables(self) -> None:
        """Import the modules of tables, once: in another thread than the worker thread, for which other work waits."""
        async with self._importing:
            if not self._has_imported:
                await asyncio.to_thread(import_tables)
                self._has_imported = True

    async def _keep(self, key: str, query: PageQuery, caller: Caller, view: View) -> View:
        """Cache ``view`` unless it expires at once or newer blocks conflict with it; return it."""
        pages, reading = self._pages, view.reading
        age_seconds = pages.clock.monotonic() - view.fetched_at
        lifetime_seconds = pages.freshness.lifetime_seconds(doubtful=reading.is_incomplete) - age_seconds
        ttl_seconds = min(lifetime_seconds, pages.seconds_left(caller))
        query_key = query_key_of(query, caller)
        is_outdated = pages.index.has_newer(query_key, reading.snapshot, view.fetched_at) and not reading.is_mixed
        if ttl_seconds <= 0 or is_outdated:
            return view
        size_bytes = _size_bytes(view)
        kept = KeptRenderings(pages.store, key, size_bytes)
        cached = view.having(kept=kept)
        pages.index.add(caller.token.locator, query_key, key, reading.snapshot, view.fetched_at)
        if await pages.store.put(key, cached, size_bytes=size_bytes, ttl_seconds=ttl_seconds, owner=kept):
            return cached
        pages.index.discard(key)
        return view


def _key(query: PageQuery, caller: Caller, kind: str) -> str:
    # Like the key of a block that begins with row 0: a newer block that conflicts evicts the view, too.
    return f"{query_key_of(query, caller)}:0:{kind}"


def _size_bytes(view: View) -> int:
    return view.table.size_bytes


def _heir(caller: Caller) -> Caller:
    """Return a caller for work that outlives the request."""
    return replace(caller, budget=Budget(caller.budget.max_calls), deadline=math.inf)
