"""The endpoint of a dataset: returns the page that a request asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Literal

from starlette.requests import Request

from gateway.sandbox.accounts import ACCOUNTS, Account
from gateway.sandbox.dataset import SandboxDataset
from gateway.sandbox.dialect import Dialect
from gateway.sandbox.engine import Engine
from gateway.sandbox.odata import FilterError
from gateway.sandbox.parameters import ParameterError, SandboxQuery, parse_parameters
from gateway.sandbox.responses import Refusal
from gateway.sandbox.sandbox_page import NextLink, SandboxPage

Compare = Literal["casefold", "exact"]


class DatasetEndpoint:
    """The endpoint of a dataset, with one engine per account. All engines together take about 40 MB."""

    def __init__(self, dataset: SandboxDataset, compare: Compare) -> None:
        self._dataset = dataset
        self._is_exact = compare == "exact"
        self._engines = {account.name: Engine(dataset, account) for account in ACCOUNTS.values()}
        # A separate pool: generating 250,000 rows must not block other work in threads.
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="sandbox")

    async def __call__(
        self, request: Request, account: Account, dialect_for: Callable[[SandboxQuery], Dialect]
    ) -> SandboxPage:
        """Return the page that a request asks for. Raises Refusal."""
        try:
            query = parse_parameters(request.scope["query_string"], self._dataset.fields)
            dialect = dialect_for(query)
            dialect = replace(dialect, exact=dialect.exact or self._is_exact)
            origin, next_skip = f"{request.url.scheme}://{request.url.netloc}", query.skip + dialect.step(query.top)
            link = NextLink(origin, request.url.path, self._dataset.path, query, next_skip)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._page, account, query, dialect, link)
        except (ParameterError, FilterError) as error:
            # Source of the shape: Store analytics documents.
            raise Refusal(400, "InvalidQueryParameters", str(error), shape="2") from None

    def _page(self, account: Account, query: SandboxQuery, dialect: Dialect, link: NextLink) -> SandboxPage:
        weeks_back = dialect.weeks_back(account, query.processed)
        if weeks_back is None:
            return SandboxPage([], 0, link)
        limited = replace(query, top=dialect.row_limit(query.top))
        rows, total = self._engines[account.name].execute(limited, weeks_back, dialect)
        processed = account.processed_at(weeks_back)
        return SandboxPage(dialect.dated(rows, processed, grouped=bool(query.group_by)), total, link)
