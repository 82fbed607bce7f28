"""The cases: each is one query, a number of clients, and the contenders."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.benchmarks.contenders import (
    CONSTANT,
    GATEWAY,
    GATEWAY_NODES,
    MERCURIUS,
    PLAIN,
    PROXY,
    PROXY_1000,
    REDIS,
    TAILCALL,
    YOGA,
)
from tests.benchmarks.queries import Kind, Query

_ALL = (GATEWAY, REDIS, PLAIN, PROXY, MERCURIUS, YOGA, TAILCALL)
# Without Tailcall: its schema has no edges, and its cache keeps every cold answer, hundreds of megabytes in a second.
_WITHOUT_TAILCALL = (GATEWAY, REDIS, PLAIN, PROXY, MERCURIUS, YOGA)
_EDGES = (GATEWAY, REDIS, PLAIN, MERCURIUS, YOGA)
_GRAPHQL = (*_EDGES, TAILCALL)
_QUICKER = (GATEWAY, REDIS, MERCURIUS, YOGA)
_COMPRESSING = (GATEWAY, REDIS)
_TWO = (GATEWAY, PLAIN)
_BROWSERS = "br, zstd, gzip"


@dataclass(frozen=True, slots=True)
class Case:
    """One line of measurements for each contender; contenders that are not running are skipped."""

    name: str
    query: Query
    clients: int
    contenders: tuple[str, ...]
    # True if a target depends on this case, which then gets more rounds.
    is_judged: bool = False

    def query_for(self, contender: str) -> Query:
        """Return the query for this contender."""
        return replace(self.query, shape="nodes") if contender == GATEWAY_NODES else self.query


def _case(
    name: str, rows: int, kind: Kind, contenders: tuple[str, ...], *, clients: int = 1, fields: int = 10,
    shape: str = "nodes", encodings: str = "", is_judged: bool = False,
) -> Case:  # fmt: skip
    return Case(name, Query(rows, kind, fields, shape, encodings=encodings), clients, contenders, is_judged)


LARGE, MIDDLE, SMALL = 10_000, 1_000, 20

WARM = (
    _case("warm 10k", LARGE, Kind.SEEN, _ALL, is_judged=True),
    _case("warm 10k, new selection", LARGE, Kind.NEW, _ALL, is_judged=True),
    _case("warm 10k, edges", LARGE, Kind.SEEN, (*_EDGES, GATEWAY_NODES), shape="edges", is_judged=True),
    _case("warm 10k, edges, new selection", LARGE, Kind.NEW, (GATEWAY, GATEWAY_NODES), shape="edges", is_judged=True),
    _case("warm 10k, 2 fields", LARGE, Kind.SEEN, _GRAPHQL, fields=2),
    _case("warm 10k, as browsers", LARGE, Kind.SEEN, _COMPRESSING, encodings=_BROWSERS),
    _case("warm 10k, 4 clients", LARGE, Kind.SEEN, _GRAPHQL, clients=4),
    _case("warm 1k", MIDDLE, Kind.SEEN, _GRAPHQL),
    _case("warm 1k, 2 fields, new selection", MIDDLE, Kind.NEW, _TWO, fields=2),
    _case("warm 20", SMALL, Kind.SEEN, (*_GRAPHQL, CONSTANT)),
    _case("warm 20, 4 clients", SMALL, Kind.SEEN, _TWO, clients=4),
    _case("warm 20, edges, 4 clients", SMALL, Kind.SEEN, _TWO, clients=4, shape="edges"),
    _case("warm 20, new selection, 4 clients", SMALL, Kind.NEW, _TWO, clients=4),
    _case("warm 20, 16 clients", SMALL, Kind.SEEN, (*_GRAPHQL, CONSTANT), clients=16, is_judged=True),
    _case("warm 20, 64 clients", SMALL, Kind.SEEN, (*_QUICKER, TAILCALL, CONSTANT), clients=64),
)
COLD = (
    _case("cold 10k", LARGE, Kind.COLD, _ALL, is_judged=True),
    _case("cold 10k, edges", LARGE, Kind.COLD, (*_EDGES, GATEWAY_NODES), shape="edges", is_judged=True),
    _case("cold 10k, 2 fields", LARGE, Kind.COLD, _TWO, fields=2),
    _case("cold 10k, 4 clients", LARGE, Kind.COLD, _WITHOUT_TAILCALL, clients=4),
    _case("cold 1k", MIDDLE, Kind.COLD, (*_ALL, PROXY_1000)),
    _case("cold 20", SMALL, Kind.COLD, (*_ALL, PROXY_1000), is_judged=True),
    _case("cold 20, 16 clients", SMALL, Kind.COLD, (*_WITHOUT_TAILCALL, PROXY_1000), clients=16, is_judged=True),
    _case("cold 20, 64 clients", SMALL, Kind.COLD, (*_QUICKER, PROXY_1000), clients=64),
)
CASES = WARM + COLD
