"""The queries: the whole HTTP request of each, with a placeholder for the number of the request."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from enum import Enum

from tests.benchmarks.contenders import PROXY, PROXY_1000

# The gateway's default prefix, and the Microsoft page's path.
UPSTREAM_PATH = "/partner/v1/analytics/commercial/deployment/license"
# Placeholder for nine digits that differ in every request of a run.
MARK = "@NUMBER@"
DIGITS = 9

FIELDS = (
    "serviceCode", "serviceName", "channel", "customerTenantId", "customerName", "productId", "productName",
    "licensesDeployed", "licensesSold", "processedDateTime",
)  # fmt: skip
FEW_FIELDS = ("productName", "licensesSold")
# The default of GATEWAY_FIRST_BLOCK_ROWS: the rows that the gateway requests from the upstream for a small page.
FIRST_BLOCK_ROWS = 1_000


class Kind(Enum):
    """The state of the server's caches for a query."""

    SEEN = "warm, selection asked before"
    NEW = "warm, selection never seen"
    COLD = "cold"


@dataclass(frozen=True, slots=True)
class Query:
    """A query for one page of rows."""

    rows: int
    kind: Kind = Kind.SEEN
    fields: int = 10
    shape: str = "nodes"
    offset: int = 0
    # The same page under that many aliases.
    aliases: int = 1
    # The token of warm queries.
    caller: str = "warm"
    # The value of Accept-Encoding. If set, the answer must be compressed.
    encodings: str = ""

    @property
    def token(self) -> str:
        """Return the token, a new one for each cold request; the stub accepts any."""
        return f"cold{MARK}" if self.kind is Kind.COLD else self.caller

    @property
    def is_compressed(self) -> bool:
        """Return whether the answer must be compressed."""
        return bool(self.encodings)

    @property
    def document(self) -> str:
        """Return the GraphQL operation."""
        names = list(FIELDS if self.fields == len(FIELDS) else FEW_FIELDS)
        if self.kind is Kind.NEW:
            # A new alias, and an order that is rarely repeated.
            names[names.index("licensesSold")] = f"x{MARK}: licensesSold"
            random.shuffle(names)
        selection = " ".join(names)
        rows = f"edges {{ cursor node {{ {selection} }} }}" if self.shape == "edges" else f"nodes {{ {selection} }}"
        arguments = f"first: {self.rows}" + (f", offset: {self.offset}" if self.offset else "")
        page = f"licenseDeployments({arguments}) {{ {rows} }}"
        pages = [page] if self.aliases == 1 else [f"page{number}: {page}" for number in range(self.aliases)]
        return f"{{ {' '.join(pages)} }}"

    def request(self, contender: str) -> str:
        """Return the HTTP request for this contender."""
        if contender in (PROXY, PROXY_1000):
            top = self.rows if contender == PROXY else FIRST_BLOCK_ROWS
            return _http("GET", f"/rest?top={top}&skip={self.offset}", self.token)
        return _http("POST", "/graphql", self.token, json.dumps({"query": self.document}), self.encodings)

    def expected_start(self, contender: str) -> str:
        """Return the start of a good answer's body."""
        return '{"Value":' if contender in (PROXY, PROXY_1000) else '{"data":'


@dataclass(frozen=True, slots=True)
class Export:
    """A request to the gateway for all rows as CSV."""

    caller: str
    is_compressed: bool = False

    def request(self, contender: str) -> str:
        """Return the HTTP request."""
        return _http("GET", "/export/licenseDeployments.csv", self.caller)

    def expected_start(self, contender: str) -> str:
        """Return the start of the header line."""
        return f"{FIELDS[0]},{FIELDS[1]}"


def _http(method: str, target: str, token: str, body: str = "", encodings: str = "") -> str:
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json"]
    lines.append(f"Authorization: Bearer {token}")
    if encodings:
        lines.append(f"Accept-Encoding: {encodings}")
    if body:
        size = len(body) + body.count(MARK) * (DIGITS - len(MARK))
        lines += ["Content-Type: application/json", f"Content-Length: {size}"]
    return "\r\n".join([*lines, "", body])
