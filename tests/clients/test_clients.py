"""Client libraries, run in Node against a gateway with the code of docs/clients.md."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.clients.whole_report import ARGUMENTS, DATASETS, check_codes, check_pages, turn_to
from tests.schema.http.node_packages import installed

if TYPE_CHECKING:
    from tests.conftest import Gateway, StartGateway, Upstream

PINS = Path(__file__).parent
SCHEMA = PINS.parents[1] / "schema" / "schema.graphql"

# The first test to run waits for npm.
pytestmark = pytest.mark.timeout(300)

COMPILE = ["tsc", "--strict", "--target", "es2022", "--module", "commonjs", "--types", "node"]
GENERATE = ["graphql-codegen", "--config", "codegen.yml"]

# For each client: the command to run first, if any, and the command that paginates.
CLIENTS: dict[str, tuple[list[list[str]], str]] = {
    "Apollo Client": ([], "apollo.mjs"),
    "urql": ([], "urql.mjs"),
    "Relay": ([["relay-compiler"]], "relay/walk.cjs"),
    "graphql-request": ([GENERATE, [*COMPILE, "--outDir", "built", "request.ts"]], "built/request.js"),
    "graphql-codegen": ([GENERATE, [*COMPILE, "--outDir", "built", "typed.ts"]], "built/typed.js"),
}

LINTED = (
    "relay-connection-types-spec,relay-connection-arguments-spec,relay-page-info-spec,"
    "defined-types-are-used,types-are-capitalized,fields-are-camel-cased,input-object-values-are-camel-cased,"
    "enum-values-all-caps,types-have-descriptions,fields-have-descriptions"
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a frontend's folder with the packages, the committed schema, and these files."""
    place = tmp_path / "project"
    shutil.copytree(PINS, place, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    shutil.copy(SCHEMA, place)
    (place / "node_modules").symlink_to(installed(PINS) / "node_modules")
    return place


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the project that ends by itself."""
    path = f"{project / 'node_modules' / '.bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=project, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=100, check=False
    )
    sys.stderr.write(done.stderr)
    return done


def succeed(project: Path, *command: str) -> str:
    """Return the output of a command that must succeed."""
    done = run(project, *command)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-3_000:]}{done.stderr[-3_000:]}"
    return done.stdout


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("dataset", DATASETS)
def test_a_client_gets_every_row_once_and_in_order_in_both_directions(
    project: Path, start_gateway: StartGateway, upstream: Upstream, name: str, dataset: str
) -> None:
    """Thirteen pages in each direction read the report once; rows of another filter do not mix with them."""
    turn_to(dataset, project)
    preparations, script = CLIENTS[name]
    for command in preparations:
        succeed(project, *command)
    token = f"contoso+as=client-{name.replace(' ', '-').lower()}-{dataset}"
    pages = json.loads(succeed(project, "node", script, f"{start_gateway().url}/graphql", token, *ARGUMENTS))
    check_pages(pages, upstream, token, dataset)
    if name == "graphql-request":
        check_codes(pages)


def test_the_linter_accepts_the_schema_as_relay(project: Path) -> None:
    """Connections, arguments and PageInfo pass graphql-schema-linter's rules, and no type is unused."""
    succeed(project, "graphql-schema-linter", "--rules", LINTED, "schema.graphql")


def test_the_linter_rejects_a_connection_that_is_not_relays(project: Path) -> None:
    schema = (project / "schema.graphql").read_text(encoding="utf-8")
    (project / "other.graphql").write_text(schema.replace("  hasPreviousPage: Boolean!", "  before: Boolean!"))
    done = run(project, "graphql-schema-linter", "--rules", LINTED, "other.graphql")
    assert done.returncode == 1
    assert "relay-page-info-spec" in done.stdout


def test_generated_types_know_numbers_dates_and_null(project: Path) -> None:
    """codegen.yml maps all scalars strictly: no type is `any`."""
    uses = {
        "number": "export const sold: number | null | undefined = row.licensesSold;",
        "date": "export const day: string | undefined = row.processedDateTime?.slice(0, 10);",
        "no_text": "export const sold: string | null | undefined = row.licensesSold;",
        "no_date": "export const day: Date | null | undefined = row.processedDateTime;",
        "maybe_null": "export const sold: number = row.licensesSold;",
    }
    row = 'declare const row: NonNullable<RowsQuery["licenseDeployments"]>["edges"][number]["node"];'
    for name, line in uses.items():
        (project / f"{name}.ts").write_text(f'import type {{ RowsQuery }} from "./generated";\n{row}\n{line}\n')
    succeed(project, *GENERATE)
    done = run(project, *COMPILE, "--noEmit", *(f"{name}.ts" for name in uses))
    faults = set(re.findall(r"^(\w+)\.ts.*error TS2322:", done.stdout, re.MULTILINE))
    assert faults == {"no_text", "no_date", "maybe_null"}, done.stdout


CUSTOMERS = """
extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])
type Query { customer(tenantId: ID!): Customer }
type Customer @key(fields: "tenantId") { tenantId: ID! accountManager: String }
"""


@pytest.mark.parametrize(
    ("clash", "error"),
    [("", None), ("type PageInfo { hasNextPage: [String!]! }", 'Type of field "PageInfo.hasNextPage" is incompatible')],
)
def test_the_schema_is_a_subgraph_as_it_is(project: Path, clash: str, error: str | None) -> None:
    """Apollo's and Hive's gateways read the composed supergraph. The second case shows that composition can fail."""
    (project / "customers.graphql").write_text(CUSTOMERS + clash, encoding="utf-8")
    subgraphs = ["licenses=schema.graphql", "customers=customers.graphql"]
    if error is None:
        supergraph = succeed(project, "node", "federation.mjs", *subgraphs)
        assert re.search(
            r"licenseDeployments\([^)]*\): LicenseDeploymentConnection @join__field\(graph: LICENSES", supergraph
        )
        assert "customer(tenantId: ID!): Customer @join__field(graph: CUSTOMERS)" in supergraph
    else:
        done = run(project, "node", "federation.mjs", *subgraphs)
        assert done.returncode == 1
        assert error in done.stderr


BATCH = """
import { ApolloClient, InMemoryCache, gql } from "@apollo/client";
import { BatchHttpLink } from "@apollo/client/link/batch-http";
const link = new BatchHttpLink({ uri: process.argv[1] });
const client = new ApolloClient({ link, cache: new InMemoryCache() });
const ask = (name) =>
  client.query({ query: gql(`query ${name} { licenseDeployments { totalCount } }`) }).catch((error) => error.message);
console.log(JSON.stringify(await Promise.all([ask("One"), ask("Other")])));
"""


def test_apollos_batch_link_shows_that_batches_are_not_supported(project: Path, gateway: Gateway) -> None:
    shown = json.loads(succeed(project, "node", "--input-type=module", "-e", BATCH, f"{gateway.url}/graphql"))
    assert len(shown) == 2
    assert all(message.startswith("Batches are not supported.") for message in shown)


@pytest.mark.parametrize("path", ["graphql", "schema.graphql"])
def test_codegen_reads_the_schema_from_the_gateway(project: Path, gateway: Gateway, path: str) -> None:
    """Node 20 cannot read zstd, but graphql-codegen lists it as a coding. The gateway must choose another one."""
    succeed(project, *GENERATE)
    expected = (project / "generated.ts").read_text(encoding="utf-8")
    (project / "generated.ts").unlink()
    settings = (project / "codegen.yml").read_text(encoding="utf-8")
    (project / "codegen.yml").write_text(settings.replace("schema: schema.graphql", f"schema: {gateway.url}/{path}"))
    (project / "schema.graphql").unlink()
    succeed(project, *GENERATE)
    assert (project / "generated.ts").read_text(encoding="utf-8") == expected


def test_the_pins_name_no_package_index() -> None:
    """Each machine can use its own registry, because digests pin the packages."""
    packages = json.loads((PINS / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if name and "integrity" not in package] == []
