"""What is asked: a question's whole HTTP request, with a mark where each request's own number goes."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from enum import Enum

from tests.benchmarks.contenders import PROXY, PROXY_1000

# The gateway's default prefix, and the Microsoft page's path.
UPSTREAM_PATH = "/partner/v1/analytics/commercial/deployment/license"
# Stands for nine digits, different in every request of a run.
MARK = "@NUMBER@"
DIGITS = 9

FIELDS = (
    "serviceCode", "serviceName", "channel", "customerTenantId", "customerName", "productId", "productName",
    "licensesDeployed", "licensesSold", "processedDateTime",
)  # fmt: skip
FEW_FIELDS = ("productName", "licensesSold")
# The gateway's GATEWAY_FIRST_BLOCK_ROWS: what it asks the upstream for when few rows are wanted.
FIRST_BLOCK_ROWS = 1_000


class Kind(Enum):
    """What the server has seen before."""

    SEEN = "warm, selection asked before"
    NEW = "warm, selection never seen"
    COLD = "cold"


@dataclass(frozen=True, slots=True)
class Question:
    """One page of rows, wanted in one way."""

    rows: int
    kind: Kind = Kind.SEEN
    fields: int = 10
    shape: str = "nodes"
    offset: int = 0

    @property
    def token(self) -> str:
        """A new one for each cold request; the stub takes any."""
        return f"cold{MARK}" if self.kind is Kind.COLD else "warm"

    @property
    def document(self) -> str:
        """The GraphQL operation."""
        names = list(FIELDS if self.fields == len(FIELDS) else FEW_FIELDS)
        if self.kind is Kind.NEW:
            # An alias that no request had before, and an order that few had.
            names[names.index("licensesSold")] = f"x{MARK}: licensesSold"
            random.shuffle(names)
        selection = " ".join(names)
        rows = f"edges {{ cursor node {{ {selection} }} }}" if self.shape == "edges" else f"nodes {{ {selection} }}"
        arguments = f"first: {self.rows}" + (f", offset: {self.offset}" if self.offset else "")
        return f"{{ licenseDeployments({arguments}) {{ {rows} }} }}"

    def request(self, contender: str) -> str:
        """The request as this contender is asked."""
        if contender in (PROXY, PROXY_1000):
            top = self.rows if contender == PROXY else FIRST_BLOCK_ROWS
            return _http("GET", f"/rest?top={top}&skip={self.offset}", self.token)
        return _http("POST", "/graphql", self.token, json.dumps({"query": self.document}))


def _http(method: str, target: str, token: str, body: str = "") -> str:
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json"]
    lines.append(f"Authorization: Bearer {token}")
    if body:
        size = len(body) + body.count(MARK) * (DIGITS - len(MARK))
        lines += ["Content-Type: application/json", f"Content-Length: {size}"]
    return "\r\n".join([*lines, "", body])


def expected_start(contender: str) -> str:
    """How a good answer's body begins."""
    return '{"Value":' if contender in (PROXY, PROXY_1000) else '{"data":'
