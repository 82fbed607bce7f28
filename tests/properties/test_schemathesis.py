"""schemathesis, an independent fuzzer of GraphQL servers, finds no server error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from graphql import build_schema, graphql_sync
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from schema.build import DATASETS, sdl
from schema.build import build_schema as build_strawberry_schema
from schema.export.openapi import openapi
from tests.conftest import served

if TYPE_CHECKING:
    from tests.conftest import Gateway

ROOT = Path(__file__).parents[2]

# For each dataset.
EXAMPLES = 100


OPTIONS = (
    *("--checks", "only_callers_err", "--phases", "fuzzing", f"--max-examples={EXAMPLES}"),
    *("--seed", "1", "--generation-database", "none", "--no-color"),
)


# Valid values may be refused: OpenAPI cannot say that two parameters go together, or how deep a filter may be. A filter
# that no row can match is answered without the upstream, which alone knows whether a token is valid. The check of
# schemathesis_checks is for GraphQL.
EXPORT_OPTIONS = (
    *("--checks", "all", "--exclude-checks", "positive_data_acceptance,ignored_auth,only_callers_err"),
    *("--phases", "fuzzing", "--seed", "1", "--generation-database", "none", "--no-color"),
)


def run(
    url: str, token: str, folder: Path, path: str = "graphql", options: tuple[str, ...] = OPTIONS
) -> subprocess.CompletedProcess[str]:
    """Run schemathesis against a server, with ``folder`` for the files that it writes."""
    program = str(Path(sys.executable).with_name("schemathesis"))
    command = [program, "run", f"{url}/{path}", *options, "--header", f"Authorization: Bearer {token}"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.properties.schemathesis_checks", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.mark.parametrize("token", ["sample", "contoso+nulls+total=text"])
def test_no_valid_query_makes_the_server_fail(gateway: Gateway, token: str, tmp_path: Path) -> None:
    result = run(gateway.url, token, tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    examples = EXAMPLES * len(DATASETS)
    assert f"{examples} generated, {examples} passed" in result.stdout


def test_exports_conform_to_their_openapi_document(gateway: Gateway, tmp_path: Path) -> None:
    """Statuses, media types, headers and bodies are documented ones, and invalid values are refused."""
    result = run(gateway.url, "sample", tmp_path, "openapi.json", (*EXPORT_OPTIONS, "--max-examples=40"))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Tested: 4" in result.stdout


def test_an_export_that_differs_from_the_document_is_detected(tmp_path: Path) -> None:
    """The server's document is the gateway's, but its exports are JSON."""
    document = openapi(build_strawberry_schema(), [dataset for dataset, _ in DATASETS])

    async def describe(request: Request) -> Response:
        return JSONResponse(document)

    async def answer(request: Request) -> Response:
        return JSONResponse([])

    routes = [Route("/openapi.json", describe), Route("/export/{name}", answer)]
    with served(Starlette(routes=routes)) as url:
        result = run(url, "sample", tmp_path, "openapi.json", (*EXPORT_OPTIONS, "--max-examples=5"))
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Undocumented Content-Type" in result.stdout


def test_a_failing_server_is_detected(tmp_path: Path) -> None:
    """The failing server has the same schema, but answers only introspection."""
    schema = build_schema(sdl())

    async def answer(request: Request) -> Response:
        query = (await request.json())["query"]
        if "__schema" not in query:
            return JSONResponse({"errors": [{"message": "broken"}]}, 500)
        return JSONResponse({"data": graphql_sync(schema, query).data})

    with served(Starlette(routes=[Route("/graphql", answer, methods=["POST"])])) as url:
        result = run(url, "sample", tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Server error" in result.stdout
