"""Plain Strawberry, written as its documentation shows: types, resolvers, the ASGI view, httpx, uvicorn.

``python -m tests.benchmarks.plain PORT UPSTREAM``. The parsed rows of tokens that begin with ``warm`` are cached.
"""

from __future__ import annotations

import sys
from typing import Any

import httpx
import strawberry
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from strawberry.asgi import GraphQL

from tests.benchmarks.queries import UPSTREAM_PATH

UPSTREAM = sys.argv[2] if len(sys.argv) > 2 else ""
CLIENT = httpx.AsyncClient(
    base_url=UPSTREAM, timeout=60, limits=httpx.Limits(max_connections=100, max_keepalive_connections=100)
)
CACHED_PAGES: dict[tuple[str, int, int], Any] = {}

Body = dict[str, Any]


@strawberry.type
class LicenseDeployment:
    """A row."""

    service_code: str | None
    service_name: str | None
    channel: str | None
    customer_tenant_id: str | None
    customer_name: str | None
    product_id: str | None
    product_name: str | None
    licenses_deployed: int | None
    licenses_sold: int | None
    processed_date_time: str | None

    @classmethod
    def from_row(cls, row: Body) -> LicenseDeployment:
        """Build the object from an upstream row."""
        return cls(
            service_code=row["serviceCode"],
            service_name=row["serviceName"],
            channel=row["channel"],
            customer_tenant_id=row["customerTenantId"],
            customer_name=row["customerName"],
            product_id=row["productId"],
            product_name=row["productName"],
            licenses_deployed=row["licensesDeployed"],
            licenses_sold=row["licensesSold"],
            processed_date_time=row["processedDateTime"],
        )


@strawberry.type
class Edge:
    """A row with its cursor."""

    cursor: str
    node: LicenseDeployment


@strawberry.type
class Connection:
    """A page of rows."""

    body: strawberry.Private[Body]
    start: strawberry.Private[int]

    @strawberry.field
    def total_count(self) -> int:
        """Return the number of all rows."""
        total: int = self.body["TotalCount"]
        return total

    @strawberry.field
    def nodes(self) -> list[LicenseDeployment]:
        """Return the rows."""
        return [LicenseDeployment.from_row(row) for row in self.body["Value"]]

    @strawberry.field
    def edges(self) -> list[Edge]:
        """Return the rows, each with its cursor."""
        rows = enumerate(self.body["Value"], self.start)
        return [Edge(cursor=f"row:{number}", node=LicenseDeployment.from_row(row)) for number, row in rows]


async def fetch(token: str, top: int, skip: int) -> Body:
    """Return the cached page, else fetch it from the upstream."""
    key = (token, top, skip)
    if key in CACHED_PAGES:
        page: Body = CACHED_PAGES[key]
        return page
    response = await CLIENT.get(UPSTREAM_PATH, params={"top": top, "skip": skip}, headers={"Authorization": token})
    response.raise_for_status()
    body: Body = response.json()
    if token.startswith("Bearer warm"):
        CACHED_PAGES[key] = body
    return body


Info = strawberry.Info[dict[str, Any], None]


@strawberry.type
class Query:
    """The root."""

    @strawberry.field
    async def license_deployments(self, info: Info, first: int = 100, offset: int = 0) -> Connection:
        """Return one page."""
        request = info.context["request"]
        assert isinstance(request, Request)
        return Connection(body=await fetch(request.headers["authorization"], first, offset), start=offset)


app = Starlette(routes=[Route("/graphql", GraphQL(strawberry.Schema(Query)))])

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning")
