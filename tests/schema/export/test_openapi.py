"""``/openapi.json`` is valid OpenAPI 3.1 and describes the export routes as they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR
from starlette.routing import Route

from gateway.composition import build
from gateway.config.environment import read_settings
from schema.build import DATASETS, build_schema
from schema.export.arguments import _OPTIONS as OPTIONS
from schema.export.arguments import ARGUMENTS
from schema.export.openapi import openapi
from schema.export.statuses import STATUSES
from tests.conftest import Gateway, StartGateway

CSV, NDJSON = "/export/licenseDeployments.csv", "/export/licenseDeployments.ndjson"
CONTOSO = {"Authorization": "Bearer contoso"}
DOCUMENT: dict[str, Any] = {
    **openapi(build_schema(), [dataset for dataset, _ in DATASETS]),
    "servers": [{"url": "/"}],
}
OPERATIONS = {path: item["get"] for path, item in DOCUMENT["paths"].items()}

# Set by the server or by middleware on every response, whatever its route (RFC 9110, Resource Timing).
GENERAL = {"date", "content-type", "content-disposition", "cache-control", "vary", "transfer-encoding"}
GENERAL |= {
    "content-encoding",
    "content-length",
    "server",
    "server-timing",
    "x-content-type-options",
    "x-gateway-upstream",
}


def validator(name: str) -> Draft202012Validator:
    """Return the validator of a schema of the document."""
    registry: Registry[Any] = Registry().with_resource("urn:document", DRAFT202012.create_resource(DOCUMENT))
    return Draft202012Validator({"$ref": f"urn:document#/components/schemas/{name}"}, registry=registry)


def test_the_document_is_valid() -> None:
    """By the schema of the OpenAPI initiative, which schemathesis carries; its parts by JSON Schema's own."""
    OPENAPI_31_VALIDATOR.validate(DOCUMENT)
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_a_document_without_a_version_is_invalid() -> None:
    """So the test above can fail."""
    with pytest.raises(Exception, match="version"):
        OPENAPI_31_VALIDATOR.validate({**DOCUMENT, "info": {"title": "Exports"}})


def test_every_reference_leads_somewhere() -> None:
    references = set(re.findall(r'"\$ref": "#/components/(\w+)/([\w-]+)"', json.dumps(DOCUMENT)))
    assert references
    assert [pair for pair in references if pair[1] not in DOCUMENT["components"][pair[0]]] == []


def test_it_has_every_export_route_with_every_parameter_and_status() -> None:
    routes = [route.path for route in build(read_settings({})).routes if isinstance(route, Route)]
    assert sorted(OPERATIONS) == sorted(path for path in routes if path.startswith("/export/"))
    for operation in OPERATIONS.values():
        assert [parameter["name"] for parameter in operation["parameters"]] == [*ARGUMENTS, *OPTIONS]
        assert all(parameter["description"] for parameter in operation["parameters"])
        assert operation["responses"].keys() == {"200"} | {str(status) for status in STATUSES.values()}
    named = " ".join(response["description"] for response in DOCUMENT["components"]["responses"].values())
    assert {error.code for error in STATUSES} <= set(re.findall(r"[A-Z]\w+", named))


def test_the_gateway_serves_it_for_its_own_address(gateway: Gateway) -> None:
    response = gateway.client.get("/openapi.json")
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == json.loads(json.dumps(DOCUMENT))


def test_behind_a_trusted_proxy_the_address_has_its_prefix(start_gateway: StartGateway) -> None:
    gateway = start_gateway(trusted_proxies=("127.0.0.1",))
    response = gateway.client.get("/openapi.json", headers={"X-Forwarded-Prefix": "/licenses"})
    assert response.json()["servers"] == [{"url": "/licenses"}]
    assert "X-Forwarded-Prefix" in response.headers["Vary"].split(", ")
    other = gateway.client.get("/openapi.json")
    assert "X-Forwarded-Prefix" in other.headers["Vary"].split(", ")
    assert other.headers["ETag"] != response.headers["ETag"]


@pytest.mark.parametrize("path", ["/openapi.json", "/schema.graphql"])
def test_clients_ask_whether_a_description_has_changed(gateway: Gateway, path: str) -> None:
    first = gateway.client.get(path)
    assert first.headers["Cache-Control"] == "no-cache"
    assert "X-Forwarded-Prefix" not in first.headers.get("Vary", "")
    for coding in ("identity", "gzip"):
        headers = {"If-None-Match": first.headers["ETag"], "Accept-Encoding": coding}
        again = gateway.client.get(path, headers=headers)
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    changed = gateway.client.get(path, headers={"If-None-Match": '"other"'})
    assert (changed.status_code, changed.text) == (200, first.text)


def test_it_is_hidden_without_introspection_and_without_exports(start_gateway: StartGateway, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text('{"rows": "{ licenseDeployments { totalCount } }"}', encoding="utf-8")
    for gateway in (start_gateway(introspection=False), start_gateway(trusted_documents=str(manifest))):
        assert gateway.client.get("/openapi.json").status_code == 404


@pytest.mark.parametrize("path", [CSV, NDJSON])
@pytest.mark.parametrize("parameters", [{}, {"filter": "{"}, {"orderBy": '[{"field": "LICENSES_SOLD"}]'}])
def test_every_header_is_documented(gateway: Gateway, path: str, parameters: dict[str, str]) -> None:
    """Also those of errors. Headers that are required are always sent."""
    response = gateway.client.get(path, params=parameters, headers=CONTOSO)
    described = OPERATIONS[path]["responses"][str(response.status_code)]
    if "$ref" in described:
        described = DOCUMENT["components"]["responses"][described["$ref"].rpartition("/")[2]]
    names = {name.lower() for name in described["headers"]}
    assert set(response.headers) - GENERAL <= names
    headers = DOCUMENT["components"]["headers"]
    always = {name.lower() for name in described["headers"] if headers[name].get("required")}
    assert always <= set(response.headers)
    assert response.headers["Content-Type"] in described["content"] or response.is_error


def test_rows_and_errors_have_the_documented_form(gateway: Gateway) -> None:
    rows = gateway.client.get(NDJSON, params={"groupBy": "SERVICE_CODE,CHANNEL"}, headers=CONTOSO).text.splitlines()
    assert rows
    for row in rows:
        validator("LicenseDeploymentRow").validate(json.loads(row))
    for refused in (gateway.client.get(CSV), gateway.client.get(CSV, params={"raw": "2"}, headers=CONTOSO)):
        validator("Errors").validate(refused.json())


@pytest.mark.parametrize(
    ("name", "schema", "value", "is_valid"),
    [
        ("filter", "LicenseDeploymentFilter", {"serviceCode": {"in": ["o365"]}, "not": {"or": []}}, True),
        ("filter", "LicenseDeploymentFilter", {"serviceCode": {"like": "o"}}, False),
        ("filter", "LicenseDeploymentFilter", {"and": {"channel": {"eq": 1}}}, False),
        ("having", "LicenseDeploymentHaving", {"licensesSold": {"gt": 2**40}, "deploymentRate": {"lt": 0.5}}, True),
        ("having", "LicenseDeploymentHaving", {"licensesSold": {"gt": "many"}}, False),
    ],
)
def test_the_schemas_accept_what_the_gateway_accepts(
    gateway: Gateway, name: str, schema: str, value: Any, is_valid: bool
) -> None:
    response = gateway.client.get(CSV, params={name: json.dumps(value), "groupBy": "CHANNEL"}, headers=CONTOSO)
    assert (response.status_code == 200) is is_valid, response.text
    assert validator(schema).is_valid(value) is is_valid
