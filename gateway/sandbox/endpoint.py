"""The endpoint of a dataset: returns the page that a request asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from starlette.requests import Request

from gateway.sandbox import responses
from gateway.sandbox.dataset import SandboxDataset
from gateway.sandbox.dialect import STANDARD, Dialect
from gateway.sandbox.links import NextLink
from gateway.sandbox.odata import FilterError
from gateway.sandbox.page import SandboxPage
from gateway.sandbox.query import ParameterError, RequestParameters, parse_parameters
from gateway.sandbox.store import Store
from gateway.sandbox.tokens import authenticate

Compare = Literal["casefold", "exact"]


@dataclass(frozen=True, slots=True)
class DatasetEndpoint:
    """The endpoint behind all paths of a dataset."""

    dataset: SandboxDataset
    store: Store
    compare: Compare

    async def __call__(self, request: Request) -> SandboxPage:
        """Return the page that a request asks for. Raises Refusal."""
        if request.method != "GET":
            raise responses.method_not_allowed()
        account = authenticate(request.headers.get("authorization"))
        dialect: Dialect = getattr(request.state, "dialect", STANDARD)
        try:
            parameters = parse_parameters(request.scope["query_string"], self.dataset.fields)
            link = self._link(request, parameters, dialect)
            return await self.store.in_thread(lambda: self._page(account, parameters, dialect, link))
        except (ParameterError, FilterError) as error:
            raise responses.bad_parameter(str(error)) from None

    def _page(self, account: str, parameters: RequestParameters, dialect: Dialect, link: NextLink) -> SandboxPage:
        engine = self.store.engine(account)
        view = dialect.view(engine.account, parameters.processed, exact=self.compare == "exact")
        if view is None:
            return SandboxPage([], 0, link)
        query = parameters.query
        result = engine.execute(replace(query, top=dialect.row_limit(query.top)), view)
        processed = engine.account.processed_at(view.weeks_back)
        return SandboxPage(dialect.dated(result.rows, processed, grouped=bool(query.group_by)), result.total, link)

    def _link(self, request: Request, parameters: RequestParameters, dialect: Dialect) -> NextLink:
        query = parameters.query
        return NextLink(
            origin=f"{request.url.scheme}://{request.url.netloc}",
            path=request.url.path,
            resource_path=self.dataset.path,
            parameters=parameters.link_parameters,
            top=query.top,
            skip=query.skip,
            next_skip=query.skip + dialect.step(query.top),
        )
