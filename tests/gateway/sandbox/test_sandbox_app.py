"""The healthy sandbox: paths, tokens, parameters, headers and the call log."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from starlette.applications import Starlette

from gateway.sandbox import SandboxCall, create_sandbox
from gateway.sandbox.datasets.license_deployment import FIELDS
from tests.gateway.sandbox.client import PATH, query
from tests.gateway.sandbox.rows import rows_of


@pytest.mark.parametrize("prefix", ["", "/partner"])
@pytest.mark.parametrize("slash", ["", "/"])
async def test_both_prefixes_work_with_and_without_a_trailing_slash(
    client: httpx.AsyncClient, prefix: str, slash: str
) -> None:
    response = await query(client, "sample", f"{prefix}{PATH}{slash}")
    assert response.status_code == 200
    assert response.json() == {"Value": rows_of("sample"), "@nextLink": None, "TotalCount": 2}


async def test_keys_have_the_order_of_the_microsoft_page(client: httpx.AsyncClient) -> None:
    body = (await query(client, "sample")).json()
    assert list(body) == ["Value", "@nextLink", "TotalCount"]
    assert list(body["Value"][0]) == ["processedDateTime", *FIELDS, "licensesDeployed", "licensesSold"]


@pytest.mark.parametrize("path", ["/", "/nope", f"{PATH}/more", f"/x{PATH}", "/v1/", "/healthz/"])
async def test_other_paths_return_404(client: httpx.AsyncClient, path: str) -> None:
    response = await query(client, path=path)
    assert response.status_code == 404
    assert response.json()["code"] == 1000


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_only_get_is_allowed(client: httpx.AsyncClient, method: str) -> None:
    response = await client.request(method, PATH, headers={"Authorization": "Bearer contoso"})
    assert (response.status_code, response.headers["allow"]) == (405, "GET")


async def test_health_needs_no_token(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, 800001),
        ("", 800001),
        ("Bearer", 800001),
        ("Basic contoso", 800001),
        ("contoso", 800001),
        ("Bearer nobody", 400),
        ("Bearer Contoso", 400),
        ("Bearer contoso fabrikam", 400),
    ],
)
async def test_a_missing_or_unknown_token_returns_401(client: httpx.AsyncClient, header: str | None, code: int) -> None:
    response = await client.get(PATH, headers={} if header is None else {"Authorization": header})
    assert (response.status_code, response.json()["code"]) == (401, code)
    assert response.headers["www-authenticate"] == f"OAuth realm=urn:cpsvc:cpid:{response.headers['ms-correlationid']}"


async def test_the_authorization_scheme_is_case_insensitive(client: httpx.AsyncClient) -> None:
    assert (await client.get(PATH, headers={"Authorization": "bEARER sample"})).status_code == 200


async def test_request_ids_are_echoed_or_generated(client: httpx.AsyncClient) -> None:
    ids = {"MS-RequestId": "Request-1", "MS-CorrelationId": "Correlation-2"}
    response = await client.get(PATH, headers={"Authorization": "Bearer sample", **ids})
    assert {name: response.headers[name] for name in ids} == ids
    response = await query(client, "sample")
    assert len(response.headers["ms-requestid"]) == len(response.headers["ms-correlationid"]) == 36
    assert {"ms-cv", "ms-serverid", "date"} <= set(response.headers)
    assert response.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("top", "10001"),
        ("top", "0"),
        ("top", "-1"),
        ("top", "many"),
        ("top", "1.5"),
        ("top", ""),
        ("top", "٣"),
        ("top", "9" * 5_000),
        ("skip", "-1"),
        ("skip", "x"),
        ("filter", "serviceCode"),
        ("filter", ""),
        ("groupby", ""),
        ("groupby", "serviceCode,licensesSold"),
        ("groupby", "servicecode"),
        ("processedDateTime", "yesterday"),
    ],
)
async def test_invalid_parameters_return_the_error_body_of_store_analytics(
    client: httpx.AsyncClient, name: str, value: str
) -> None:
    response = await query(client, "sample", **{name: value})
    assert response.status_code == 400
    assert response.json()["innererror"]["code"] == "InvalidQueryParameters"
    assert response.json()["innererror"]["data"][0].startswith(f"{name} parameter")


async def test_invalid_utf_8_and_contradictory_parameters_return_400(client: httpx.AsyncClient) -> None:
    headers = {"Authorization": "Bearer sample"}
    assert (await client.get(f"{PATH}?filter=%ff", headers=headers)).status_code == 400
    assert (await client.get(f"{PATH}?top=1&top=2", headers=headers)).status_code == 400


async def test_parameter_names_are_case_insensitive_and_unknown_ones_ignored(client: httpx.AsyncClient) -> None:
    response = await query(client, "sample", groupBy="channel", orderby="customerName desc", unknown="x")
    assert response.json()["Value"] == [{"channel": "reseller", "licensesDeployed": 0, "licensesSold": 14}]


async def test_filters_can_be_case_sensitive() -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_sandbox(compare="exact")), base_url="http://sandbox"
    ) as client:
        assert (await query(client, "sample", filter="serviceCode eq 'CRM'")).json()["TotalCount"] == 0
        assert (await query(client, "sample", filter="serviceCode eq 'crm'")).json()["TotalCount"] == 1


async def test_concurrent_requests_generate_the_rows_of_an_account_once() -> None:
    app = create_sandbox()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox") as client:
        responses = await asyncio.gather(*(query(client, f"contoso+as=user{n}", top=1) for n in range(20)))
    assert len({response.text for response in responses}) == 1


async def test_the_call_log_contains_requests_without_authorization_header() -> None:
    lines: list[str] = []
    app = create_sandbox(log=lines.append)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox") as client:
        await query(client, "sample", filter="channel eq 'x y'")
        await query(client, "nobody")
        await client.get("/healthz")
    first, second = app.state.calls
    assert isinstance(first, SandboxCall)
    assert (first.path, first.query_string) == (PATH, "filter=channel%20eq%20%27x%20y%27")
    assert (first.token, first.status, second.token, second.status) == ("sample", 200, "nobody", 401)
    assert "authorization" not in first.headers
    assert first.headers["host"] == "sandbox"
    assert "sample" not in repr(first)
    assert len(lines) == 2
    assert not any(word in line for line in lines for word in ("sample", "nobody", "channel"))


async def test_the_call_log_is_bounded(sandbox: Starlette) -> None:
    assert sandbox.state.calls.maxlen == 10_000


async def test_an_unusual_name_is_returned_verbatim(client: httpx.AsyncClient) -> None:
    name = "x' or serviceCode eq 'crm"
    text = (await query(client, filter=f"customerName eq '{name.replace(chr(39), chr(39) * 2)}'")).content
    rows = json.loads(text)["Value"]
    assert rows
    assert {row["customerName"] for row in rows} == {name}
