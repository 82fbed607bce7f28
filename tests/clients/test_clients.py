"""Client libraries, run in Node against a gateway with the code of docs/clients.md."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.schema.http.node_packages import installed

if TYPE_CHECKING:
    from tests.conftest import Gateway, StartGateway, Upstream

PINS = Path(__file__).parent
SCHEMA = PINS.parents[1] / "schema" / "schema.graphql"

# The first test to run waits for npm.
pytestmark = pytest.mark.timeout(300)

# Not a divisor of 12,000, so that the last page is short, and one less than the smallest block.
PAGE_ROWS = 999

# The fields of a row that rows.graphql and relay/Deployments.js select.
FIELDS = (
    "customerTenantId",
    "productId",
    "channel",
    "customerName",
    "productName",
    "licensesSold",
    "processedDateTime",
)

COMPILE = ["tsc", "--strict", "--target", "es2022", "--module", "commonjs", "--types", "node"]
GENERATE = ["graphql-codegen", "--config", "codegen.yml"]

# For each client: the command to run first, if any, and the command that paginates.
CLIENTS: dict[str, tuple[list[list[str]], str]] = {
    "Apollo Client": ([], "apollo.mjs"),
    "urql": ([], "urql.mjs"),
    "Relay": ([["relay-compiler"]], "relay/walk.cjs"),
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


def rows_of_the_report(upstream: Upstream) -> list[dict[str, Any]]:
    """Return all rows of contoso in the report's order, read from the REST service."""
    address = f"{upstream.url}/partner/v1/analytics/commercial/deployment/license"
    rows: list[dict[str, Any]] = []
    for skip in (0, 10_000):
        response = httpx.get(
            address,
            params={"top": 10_000, "skip": skip},
            headers={"Authorization": "Bearer contoso"},
            trust_env=False,
            timeout=60,
        )
        rows += response.json()["Value"]
    return rows


def differences(rows: list[dict[str, Any]], report: list[dict[str, Any]]) -> list[Any]:
    """Return the differences between a client's rows and the report's, in the selected fields."""
    wanted = [{key: row[key] for key in FIELDS} for row in report]
    shown = [{key: value for key, value in row.items() if key != "__typename"} for row in rows]
    return [(len(shown), len(wanted))] * (len(shown) != len(wanted)) + [
        pair for pair in zip(shown, wanted, strict=False) if pair[0] != pair[1]
    ]


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_gets_every_row_once_and_in_order_in_both_directions(
    project: Path, start_gateway: StartGateway, upstream: Upstream, name: str
) -> None:
    """Thirteen pages in each direction read the report once; rows of another filter do not mix with them."""
    preparations, script = CLIENTS[name]
    for command in preparations:
        succeed(project, *command)
    token = f"contoso+as=client-{name.split()[0].lower()}"
    arguments = (f"{start_gateway().url}/graphql", token, str(PAGE_ROWS), '{"serviceCode": {"eq": "crm"}}')
    pages = json.loads(succeed(project, "node", script, *arguments))
    report = rows_of_the_report(upstream)
    assert len({tuple(row[key] for key in FIELDS) for row in report}) == 12_000
    assert differences(pages["forward"], report)[:1] == []
    assert differences(pages["backward"], report)[:1] == []
    assert differences(pages["filtered"], [row for row in report if row["serviceCode"] == "crm"])[:1] == []
    calls = [call.query_string for call in upstream.calls_of(token)]
    assert [call for call in calls if "filter" not in call] == [
        "top=1000&skip=0",
        "top=10000&skip=0",
        "top=10000&skip=10000",
    ]


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


FETCH_SCHEMA = """
const { createRequire } = require("node:module");
const config = createRequire(require.resolve("graphql-config"));
const { fetch } = createRequire(config.resolve("@graphql-tools/url-loader"))("@whatwg-node/fetch");
fetch(process.argv[1]).then((response) => response.text()).then((text) => console.log(text));
"""


def test_a_client_that_lists_a_coding_it_cannot_read_gets_another(project: Path, gateway: Gateway) -> None:
    """The fetch of the newest graphql-codegen and graphql-inspector lists zstd, even on Node 20, which has none."""
    shown = succeed(project, "node", "-e", FETCH_SCHEMA, f"{gateway.url}/schema.graphql")
    assert shown.strip() == SCHEMA.read_text(encoding="utf-8").strip()


def test_the_pins_name_no_package_index() -> None:
    """Each machine can use its own registry, because digests pin the packages."""
    packages = json.loads((PINS / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if name and "integrity" not in package] == []
