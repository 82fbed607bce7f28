"""Instrumentation from others sees the gateway as it sees any Starlette application.

Each program runs in a separate process, because an agent changes the libraries that it instruments.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

OPENTELEMETRY = """
import json
from opentelemetry.instrumentation.starlette import StarletteInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
if AUTOMATIC:
    StarletteInstrumentor().instrument(tracer_provider=provider)

from gateway.composition import build
from gateway.config.environment import read_settings

app = build(read_settings({}))
if not AUTOMATIC:
    StarletteInstrumentor.instrument_app(app, tracer_provider=provider)
statuses = ask(app, "/graphql", "/healthz", "/nothing")
spans = [(span.name, dict(span.attributes or {})) for span in exporter.get_finished_spans() if not span.parent]
print(json.dumps([statuses, spans]))
"""

SENTRY = """
import json
from contextlib import asynccontextmanager

import sentry_sdk
from sentry_sdk.transport import Transport

items = []


class Recorder(Transport):
    def capture_envelope(self, envelope):
        items.extend((item.type, item.payload.json) for item in envelope.items)


sentry_sdk.init(dsn="https://key@sentry.invalid/1", transport=Recorder, traces_sample_rate=1.0)

from gateway.app import create_app
from gateway.config.groups import HttpConfig
from gateway.observability.logging import configure_logging
from gateway.observability.metrics import Metrics


class Broken:
    async def __call__(self, scope, receive, send):
        raise KeyError("a bug")


@asynccontextmanager
async def lifespan():
    yield


configure_logging("json", "info")
statuses = ask(create_app(Broken(), HttpConfig(), metrics=Metrics(), lifespan=lifespan), "/graphql")
sentry_sdk.flush()
transactions = [item["request"]["url"] for kind, item in items if kind == "transaction"]
errors = [(item["logger"], item["exception"]["values"][0]["type"]) for kind, item in items if kind == "event"]
print(json.dumps([statuses, transactions, errors]))
"""

ASK = """
import asyncio
import httpx


def ask(app, *paths):
    async def run():
        async with app.router.lifespan_context(app) as state:

            async def with_state(scope, receive, send):
                await app({**scope, "state": dict(state)}, receive, send)

            transport = httpx.ASGITransport(with_state, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway.invalid") as client:
                body = {"query": "{ __typename }"}
                return [(await client.post(path, json=body)).status_code for path in paths]

    return asyncio.run(run())
"""


def result_of(program: str) -> Any:
    """Return what ``program`` prints last, as JSON."""
    done = subprocess.run([sys.executable, "-c", ASK + program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("automatic", [True, False], ids=["instrument", "instrument_app"])
def test_opentelemetrys_starlette_instrumentation_has_a_span_for_each_request(automatic: bool) -> None:
    statuses, spans = result_of(f"AUTOMATIC = {automatic}\n{OPENTELEMETRY}")
    assert statuses == [200, 405, 404]
    assert [name for name, _ in spans[:2]] == ["POST /graphql", "POST /healthz"]
    assert len(spans) == 3
    assert spans[0][1]["http.route"] == "/graphql"
    assert spans[0][1]["http.status_code"] == 200


def test_sentry_has_a_transaction_and_the_exception_of_an_unforeseen_error() -> None:
    """The exception arrives through the standard library's logging, once."""
    statuses, transactions, errors = result_of(SENTRY)
    assert statuses == [500]
    assert transactions == ["http://gateway.invalid/graphql"]
    assert errors == [["gateway", "KeyError"]]
