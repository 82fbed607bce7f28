"""The most expensive requests found, each of which is to cost no more CPU than the first: a megabyte of one name.

``python -m tests.benchmarks.worst`` prints their table. The limits of one operation have a separate table.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from gateway.__main__ import build
from gateway.config.environment import read_settings

RUNS = 5
MEGABYTE = 1_000_000
# The server accepts 64 KiB of headers and URL.
HEAD_BYTES = 59_000
FILTERED = "query ($f: LicenseDeploymentFilter) { licenseDeployments(filter: $f) { totalCount } }"
GROUPED = "query ($g: [LicenseDeploymentDimension!]) { licenseDeployments(groupBy: $g) { totalCount } }"


@dataclass(frozen=True, slots=True)
class CostlyRequest:
    """A request without a token, and the code of its first error; None if it succeeds."""

    description: str
    code: str | None
    content: bytes = b""
    url: str = "/graphql"
    headers: Mapping[str, str] = field(default_factory=dict)

    def of(self, client: httpx.AsyncClient | httpx.Client) -> httpx.Request:
        """Return the request to send; a GET request if there is no content."""
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", **self.headers}
        method = "POST" if self.content else "GET"
        return client.build_request(method, self.url, content=self.content, headers=headers)


def posted(description: str, code: str | None, query: str, variables: Any = None) -> CostlyRequest:
    body = {"query": query} if variables is None else {"query": query, "variables": variables}
    return CostlyRequest(description, code, json.dumps(body, separators=(",", ":")).encode())


def literal(description: str, text: str) -> CostlyRequest:
    """Return a request whose document has a long literal, which is refused."""
    return posted(description, "QUERY_TOO_COMPLEX", f"{{ licenseDeployments(after: {text}) {{ totalCount }} }}")


def raw(description: str, code: str | None, variables: str) -> CostlyRequest:
    """Return a request with the JSON text of its variables."""
    return CostlyRequest(description, code, f'{{"query":"{{ __typename }}","variables":{variables}}}'.encode())


def listed(name: str, text: str) -> CostlyRequest:
    """Return a request with a long list in a header."""
    content = b'{"query":"{ __typename }"}'
    return CostlyRequest(f"`{name}` of {text.count(','):,} commas", "BAD_REQUEST", content, headers={name: text})


def merged(description: str, count: int, inside: str) -> CostlyRequest:
    """Return a request that selects the same fields many times."""
    query = "{ licenseDeployments { " + f"{inside} " * count + "} }"
    return posted(description, "QUERY_TOO_COMPLEX", query)


REQUESTS = (
    posted("a megabyte of one name", None, "query " + "x" * MEGABYTE + " { __typename }"),
    literal(r"a string of `\n`", '"' + r"\n" * 330_000 + '"'),
    literal(r"a string of `\u0041`", '"' + r"\u0041" * 140_000 + '"'),
    literal("a string of surrogate pairs", '"' + r"\ud83d\ude00" * 70_000 + '"'),
    literal("a block string", '"""' + "a" * MEGABYTE + '"""'),
    literal("a long number", "9" * MEGABYTE),
    literal("a long comment", "1 #" + "x" * MEGABYTE + "\n"),
    posted(r"128,000 characters of `\n`", "UNAUTHENTICATED",
           '{ licenseDeployments(after: "' + r"\n" * 63_000 + '") { totalCount } }'),
    posted("10,000 lines", None, ("," * 99 + "\n") * 9_999 + "{ __typename }"),
    posted("an error behind 10,000 lines", "GRAPHQL_VALIDATION_FAILED", ("," * 99 + "\n") * 9_999 + "{ nope }"),
    posted("a megabyte of an unknown field", "GRAPHQL_VALIDATION_FAILED", "{ " + "x" * MEGABYTE + " }"),
    posted("a megabyte of an enum value", "BAD_USER_INPUT", GROUPED, {"g": "A" * MEGABYTE}),
    posted("1,900 unknown fields", "GRAPHQL_VALIDATION_FAILED",
           "{ licenseDeployments { nodes { " + " ".join(f"customerTenantI{n}" for n in range(1_900)) + " } } }"),
    posted("450 unknown members of a filter", "GRAPHQL_VALIDATION_FAILED",
           "{ licenseDeployments(filter: {" + " ".join(f"k{n}: 1" for n in range(450)) + "}) { totalCount } }"),
    posted("280 unused fragments", "GRAPHQL_VALIDATION_FAILED",
           "{ __typename } " + " ".join(f"fragment F{n} on Query {{ __typename }}" for n in range(280))),
    merged("490 times `nodes`", 490, "nodes { channel }"),
    merged("280 times `edges`", 280, "edges { node { channel } }"),
    merged("1,900 times one field", 1_900, "totalCount"),
    posted("60,000 unknown members of a filter in variables", "BAD_USER_INPUT", FILTERED,
           {"f": {f"k{n}": 1 for n in range(60_000)}}),
    posted("a list of 130,000 values", "BAD_USER_INPUT", FILTERED, {"f": {"channel": {"in": ["aaaa"] * 130_000}}}),
    posted("300,000 lists in unused variables", None, "{ __typename }", {"f": [[]] * 300_000}),
    raw("120,000 numbers such as 1.5e300", None, '{"f":[' + "1.5e300," * 120_000 + "1]}"),
    raw("250 integers of 4,000 digits", None, '{"f":[' + ("1" * 4_000 + ",") * 250 + "1]}"),
    raw("lists nested 400,000 deep", "BAD_REQUEST", '{"f":' + "[" * 400_000 + "]" * 400_000 + "}"),
    listed("Accept", "," * HEAD_BYTES),
    listed("Accept-Encoding", "gzip," * 11_000),
    listed("If-None-Match", "W/," * 19_000),
    CostlyRequest("19,000 parameters in the URL", None, url="/graphql?query={__typename}" + "&a=" * 19_000),
)  # fmt: skip


def code_of(response: httpx.Response) -> str | None:
    """Return the code of the first error."""
    errors = response.json().get("errors")
    return errors[0]["extensions"]["code"] if errors else None


async def measure_requests(upstream_url: str, write: Callable[[str], None]) -> None:
    """Measure each request and write the table line by line. The CPU time includes that of the client in memory."""
    write("| request without a token | response | CPU, ms |")
    write("|---|---|---:|")
    for request in REQUESTS:
        spent = statistics.median([await _milliseconds(request, upstream_url) for _ in range(RUNS)])
        write(f"| {request.description} | {f'`{request.code}`' if request.code else 'data'} | {spent:,.0f} |")


async def _milliseconds(request: CostlyRequest, upstream_url: str) -> float:
    app = build(read_settings({}, {"upstream_url": upstream_url}))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client,
    ):
        await client.get("/graphql?query={__typename}")
        sent = request.of(client)
        started = time.process_time()
        response = await client.send(sent)
        spent_seconds = time.process_time() - started
    assert code_of(response) == request.code, response.text[:500]
    return 1_000 * spent_seconds
