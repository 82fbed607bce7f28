"""Cost at each limit: the most expensive known operation that it allows, and one just beyond it.

``python -m tests.benchmarks.worst`` runs the former against the application, and prints the tables of docs/errors.md:
"Limits of one operation", and "Cost of one request" from tests/benchmarks/costly.py. CPU time is that of the whole
process without the upstream. Blocks of rows are cached, rendered rows are not. Response sizes are those before
compression.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
import httpx

from gateway.__main__ import build
from gateway.config.environment import read_settings
from gateway.config.settings import Settings
from gateway.observability.logging import configure_logging
from schema.execution.cost import LONG_FILTERS, MAX_OBJECT_MEMBERS, VALUES_PER_ROW
from schema.execution.limits import (
    CHARACTERS_PER_TOKEN,
    LIST_FIELDS,
    MAX_ALIAS_CHARACTERS,
    MAX_INTROSPECTION_FIELDS,
    MAX_LINES,
)
from tests.benchmarks.costly import measure_requests
from tests.benchmarks.servers import running
from tests.ports import free_port

RUNS = 5
FIELDS = (
    "serviceCode serviceName channel customerTenantId customerName productId productName licensesDeployed licensesSold"
    " processedDateTime"
)
MORE = "licensesUnassigned licensesOverdeployed deploymentRate __typename"
EDGES = f"edges {{ cursor node {{ {FIELDS} }} }}"
NODES = f"nodes {{ {FIELDS} }}"
CONNECTION = "LicenseDeploymentConnection"
TYPE = "kind name " + "ofType { kind name " * 8 + "}" * 8
ALIAS = "a" * (MAX_ALIAS_CHARACTERS - 2)

Operation = tuple[str, dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit as docs/errors.md lists it, with an operation that its default allows and one that it refuses."""

    name: str
    default: str
    code: str
    description: str
    allowed: Operation
    beyond: Operation


def many(count: int, text: str) -> str:
    """Repeat ``text`` ``count`` times, with the number in place of #."""
    return " ".join(text.replace("#", str(number)) for number in range(count))


def roots(count: int, inner: str, arguments: str = "first: 10000", variables: str = "") -> str:
    """Return an operation with ``count`` equal root fields."""
    return f"query {variables}{{ {many(count, f'r#: licenseDeployments({arguments}) {{ {inner} }}')} }}"


def filtered(value: Any, fields: int = 10, kind: str = "LicenseDeploymentFilter") -> Operation:
    """Return an operation with ``fields`` root fields that use one filter."""
    return roots(fields, "totalCount", "filter: $filter, first: 1", f"($filter: {kind}) "), {"filter": value}


def nots(count: int) -> dict[str, Any]:
    """Return ``count`` filters of ``not`` nested 45 deep around an empty condition."""
    deep: dict[str, Any] = {"and": []}
    for _ in range(45):
        deep = {"not": deep}
    return {"or": [deep] * count}


def alternating(values: int) -> dict[str, Any]:
    """Return ``not`` and ``or`` nested 24 deep around a list of values."""
    deep: dict[str, Any] = {"channel": {"in": [f"{number:03}" for number in range(values)]}}
    for level in range(24):
        deep = {"not": {"or": [deep, *({"channel": {"ne": f"{level}-{number}"}} for number in range(5))]}}
    return deep


def spreading(count: int) -> str:
    """Return fragments that each spread all later ones."""
    texts = (
        f"fragment F{i} on {CONNECTION} {{ totalCount {' '.join(f'...F{j}' for j in range(i + 1, count))} }}"
        for i in range(count)
    )
    return "{ licenseDeployments { ...F0 } } " + " ".join(texts)


def introspection(count: int) -> str:
    """Return an operation that asks for all of the schema ``count`` times."""
    argument = f"name description type {{ {TYPE} }}"
    inside = (
        f"kind name description fields {{ name description args {{ {argument} }} type {{ {TYPE} }} }}"
        f" inputFields {{ {argument} }} enumValues {{ name description }}"
    )
    return f"{{ {many(count, 'r#: __schema { types { ...X } }')} }} fragment X on __Type {{ {inside} }}"


def default_of(name: str) -> str:
    """Return a setting's default in the format of docs/errors.md."""
    return f"{Settings.model_fields[name].default:,}"


def setting(name: str, code: str, description: str, allowed: Operation, beyond: Operation) -> Limit:
    """Return the limit of a setting."""
    return Limit(f"`GATEWAY_{name.upper()}`", default_of(name), code, description, allowed, beyond)


def deep(levels: int) -> str:
    """Return inline fragments around one field; they do not count as levels, but must be traversed."""
    return "{ licenseDeployments { " + "... { " * levels + "totalCount" + " }" * levels + " } }"


LIMITS: tuple[Limit, ...] = (
    setting(
        "max_query_depth", "QUERY_TOO_COMPLEX", "inline fragments 110 deep", (deep(110), None), (deep(130), None)
    ),
    setting(
        "max_query_tokens", "QUERY_TOO_COMPLEX", "27 fragments that spread one another",
        (spreading(27), None),
        ("{ licenseDeployments { " + many(2_000, "totalCount") + " } }", None),
    ),
    setting(
        "max_query_aliases", "QUERY_TOO_COMPLEX", "ten largest pages with two aliases each",
        (roots(10, "nodes { a: customerName b: productName }"), None),
        ("{ " + many(31, "a#: __typename") + " }", None),
    ),
    Limit(
        f"fields about the schema; a list counts {LIST_FIELDS} times", f"{MAX_INTROSPECTION_FIELDS}",
        "QUERY_TOO_COMPLEX", "all of introspection, four times, with no token", (introspection(4), None),
        (introspection(10), None),
    ),
    setting(
        "max_query_root_fields", "QUERY_TOO_COMPLEX", "ten largest pages of `edges`, all fields",
        (roots(10, EDGES), None), ("{ " + many(11, "__typename") + " }", None),
    ),
    Limit(
        "rows shown: `GATEWAY_MAX_FIRST_ROWS` × `GATEWAY_MAX_QUERY_ROOT_FIELDS`", "100,000", "QUERY_TOO_COMPLEX",
        "the same as five pages of `edges` and `nodes`", (roots(5, f"{EDGES} {NODES}"), None),
        (roots(6, f"{EDGES} {NODES}"), None),
    ),
    Limit(
        f"values shown: rows shown × {VALUES_PER_ROW}", "1,400,000", "QUERY_TOO_COMPLEX",
        "ten largest pages, one of them with long aliases",
        ("{ " + many(9, f"r#: licenseDeployments(first: 10000) {{ {EDGES} }}")
         + " licenseDeployments(first: 10000) { edges { cursor node { "
         + " ".join(f"{ALIAS}{number}: customerTenantId" for number in range(10, 20)) + " } } } }", None),
        (roots(10, f"{EDGES} edges {{ node {{ {MORE} }} }}"), None),
    ),
    Limit(
        "characters of an alias", f"{MAX_ALIAS_CHARACTERS}", "QUERY_TOO_COMPLEX", "thirty in each of 10,000 rows",
        ("{ licenseDeployments(first: 10000) { nodes { "
         + " ".join(f"{ALIAS}{number}: customerTenantId" for number in range(10, 40)) + " } } }", None),
        (f"{{ {ALIAS}000: __typename }}", None),
    ),
    Limit(
        "lines of a document", f"{MAX_LINES:,}", "QUERY_TOO_COMPLEX", "a megabyte of them",
        (("," * 99 + "\n") * (MAX_LINES - 1) + "{ __typename }", None),
        ("\n" * (MAX_LINES + 1) + "{ __typename }", None),
    ),
    Limit(
        f"characters of a document with strings, comments or long numbers: `GATEWAY_MAX_QUERY_TOKENS` ×"
        f" {CHARACTERS_PER_TOKEN}",
        "128,000", "QUERY_TOO_COMPLEX", "a comment of that length",
        ("{ __typename } #" + "x" * 127_000, None),
        ('{ licenseDeployments(after: "' + r"\n" * 250_000 + '") { totalCount } }', None),
    ),
    setting(
        "max_filter_bytes", "BAD_USER_INPUT", "six filters nested 24 deep", filtered(alternating(60), 6),
        filtered({"channel": {"in": [f"{number:03}" for number in range(400)]}}),
    ),
    Limit(
        f"objects and list members in variables, at each use: `GATEWAY_MAX_FILTER_BYTES` / 10 × {LONG_FILTERS}",
        "2,400", "BAD_USER_INPUT", "five times `not` 45 deep, used ten times",
        filtered(nots(5)), filtered(nots(20)),
    ),
    Limit(
        "members of an object in variables", f"{MAX_OBJECT_MEMBERS}", "BAD_USER_INPUT", "60,000 unknown variables",
        ("{ __typename }", {f"v{number}": number for number in range(60_000)}),
        filtered({f"f{number}": number for number in range(60_000)}),
    ),
    setting(
        "max_request_bytes", "PAYLOAD_TOO_LARGE", "a megabyte of one name",
        ("query " + "x" * 1_000_000 + " { __typename }", None), ("," * 1_048_576 + "{ __typename }", None),
    ),
    setting(
        "max_first_rows", "BAD_USER_INPUT", "one page, ten fields, `edges` and `nodes`",
        (roots(1, f"{EDGES} {NODES}"), None), (roots(1, NODES, "first: 10001"), None),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one operation, and the code of its first error."""

    cpu_milliseconds: float
    reply_bytes: int
    code: str | None


async def ask(client: httpx.AsyncClient, operation: Operation) -> Cost:
    """Run one operation."""
    body = json.dumps(dict(zip(("query", "variables"), operation, strict=True)), separators=(",", ":")).encode()
    headers = {"Authorization": "Bearer contoso", "Content-Type": "application/json", "Accept-Encoding": "identity"}
    started = time.process_time()
    response = await client.post("/graphql", content=body, headers=headers)
    spent_seconds = time.process_time() - started
    errors = response.json().get("errors")
    return Cost(1_000 * spent_seconds, len(response.content), errors[0]["extensions"]["code"] if errors else None)


async def _measured(operation: Operation, upstream_url: str) -> list[Cost]:
    """Measure each run in a new gateway, after its blocks are cached and its lazy imports are done."""
    costs = []
    for _ in range(RUNS):
        app = build(read_settings({}, {"upstream_url": upstream_url}))
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client,
        ):
            await ask(client, (roots(10, "totalCount"), None))
            costs.append(await ask(client, operation))
    return costs


async def measure(upstream_url: str, write: Callable[[str], None]) -> None:
    """Measure all limits and write the table line by line."""
    write("| limit | default | beyond it | the worst found that passes | CPU, ms | reply, MB | refused in, ms |")
    write("|---|---:|---|---|---:|---:|---:|")
    for limit in LIMITS:
        allowed, beyond = [await _measured(operation, upstream_url) for operation in (limit.allowed, limit.beyond)]
        spent, refused = (statistics.median(cost.cpu_milliseconds for cost in costs) for costs in (allowed, beyond))
        write(
            f"| {limit.name} | {limit.default} | `{limit.code}` | {limit.description} | {spent:,.0f} |"
            f" {allowed[0].reply_bytes / 1e6:,.2f} | {refused:,.0f} |"
        )


if __name__ == "__main__":
    configure_logging("text", "critical")
    port = free_port()
    with running("sandbox", [sys.executable, "-m", "gateway", "sandbox", "--port", str(port)], port) as server:
        asyncio.run(measure(server.url, click.echo))
        click.echo()
        asyncio.run(measure_requests(server.url, click.echo))
