"""The healthy sandbox: paths, tokens, parameters, paging, grouping, history and headers."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette

from gateway.sandbox import SandboxCall, create_sandbox
from gateway.sandbox.datasets.license_deployment import FIELDS
from gateway.sandbox.rows import rows_of

PATH = "/v1/analytics/commercial/deployment/license"


async def ask(client: httpx.AsyncClient, token: str = "contoso", path: str = PATH, **parameters: Any) -> httpx.Response:
    query = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in parameters.items())
    return await client.get(f"{path}?{query}" if query else path, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("prefix", ["", "/partner"])
@pytest.mark.parametrize("slash", ["", "/"])
async def test_both_prefixes_answer_with_and_without_a_slash_and_never_redirect(
    client: httpx.AsyncClient, prefix: str, slash: str
) -> None:
    reply = await ask(client, "sample", f"{prefix}{PATH}{slash}")
    assert reply.status_code == 200
    assert reply.json() == {"Value": rows_of("sample"), "@nextLink": None, "TotalCount": 2}


async def test_the_keys_come_in_the_order_of_the_microsoft_page(client: httpx.AsyncClient) -> None:
    body = (await ask(client, "sample")).json()
    assert list(body) == ["Value", "@nextLink", "TotalCount"]
    assert list(body["Value"][0]) == ["processedDateTime", *FIELDS, "licensesDeployed", "licensesSold"]


@pytest.mark.parametrize("path", ["/", "/nope", f"{PATH}/more", f"/x{PATH}", "/v1/", "/healthz/"])
async def test_other_paths_are_not_found(client: httpx.AsyncClient, path: str) -> None:
    reply = await ask(client, path=path)
    assert reply.status_code == 404
    assert reply.json()["code"] == 1000


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_only_get_is_allowed(client: httpx.AsyncClient, method: str) -> None:
    reply = await client.request(method, PATH, headers={"Authorization": "Bearer contoso"})
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET")


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
async def test_without_a_known_token_there_is_no_access(
    client: httpx.AsyncClient, header: str | None, code: int
) -> None:
    reply = await client.get(PATH, headers={} if header is None else {"Authorization": header})
    assert (reply.status_code, reply.json()["code"]) == (401, code)
    assert reply.headers["www-authenticate"] == f"OAuth realm=urn:cpsvc:cpid:{reply.headers['ms-correlationid']}"


async def test_the_scheme_of_a_token_may_be_in_any_case(client: httpx.AsyncClient) -> None:
    assert (await client.get(PATH, headers={"Authorization": "bEARER sample"})).status_code == 200


async def test_ids_are_echoed_and_made_when_absent(client: httpx.AsyncClient) -> None:
    ids = {"MS-RequestId": "Request-1", "MS-CorrelationId": "Correlation-2"}
    reply = await client.get(PATH, headers={"Authorization": "Bearer sample", **ids})
    assert {name: reply.headers[name] for name in ids} == ids
    reply = await ask(client, "sample")
    assert len(reply.headers["ms-requestid"]) == len(reply.headers["ms-correlationid"]) == 36
    assert {"ms-cv", "ms-serverid", "date"} <= set(reply.headers)
    assert reply.headers["content-type"] == "application/json; charset=utf-8"


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
async def test_bad_parameters_are_refused_as_store_analytics_does(
    client: httpx.AsyncClient, name: str, value: str
) -> None:
    reply = await ask(client, "sample", **{name: value})
    assert reply.status_code == 400
    assert reply.json()["innererror"]["code"] == "InvalidQueryParameters"
    assert reply.json()["innererror"]["data"][0].startswith(f"{name} parameter")


async def test_text_that_is_not_utf_8_and_contradictions_are_refused(client: httpx.AsyncClient) -> None:
    headers = {"Authorization": "Bearer sample"}
    assert (await client.get(f"{PATH}?filter=%ff", headers=headers)).status_code == 400
    assert (await client.get(f"{PATH}?top=1&top=2", headers=headers)).status_code == 400


async def test_parameter_names_are_case_tolerant_and_unknown_ones_ignored(client: httpx.AsyncClient) -> None:
    reply = await ask(client, "sample", groupBy="channel", orderby="customerName desc", unknown="x")
    assert reply.json()["Value"] == [{"channel": "reseller", "licensesDeployed": 0, "licensesSold": 14}]


async def test_walking_by_skip_gives_every_row_once_and_in_order(client: httpx.AsyncClient) -> None:
    walked: list[Any] = []
    link = "start"
    while link:
        body = (await ask(client, top=5_000, skip=len(walked))).json()
        walked += body["Value"]
        link = body["@nextLink"]
        assert body["TotalCount"] == 12_000
        assert link in (f"license?top=5000&skip={len(walked)}", None)
    assert walked == rows_of("contoso")


async def test_ten_thousand_rows_are_the_default_and_skipping_past_the_end_is_empty(client: httpx.AsyncClient) -> None:
    assert len((await ask(client)).json()["Value"]) == 10_000
    for skip in (12_000, 10**17):
        reply = (await ask(client, skip=skip)).json()
        assert reply == {"Value": [], "@nextLink": None, "TotalCount": 12_000}
    assert (await ask(client, "tailspin")).json() == {"Value": [], "@nextLink": None, "TotalCount": 0}


async def test_the_next_link_repeats_the_question_unencoded(client: httpx.AsyncClient) -> None:
    body = (await ask(client, filter="customerName ne 'A & B'", groupby="channel,customerName", top=1)).json()
    expected = "license?top=1&skip=1&filter=customerName ne 'A & B'&groupby=channel,customerName"
    assert body["@nextLink"] == expected


@pytest.mark.parametrize(
    "fields", [("channel",), ("serviceCode", "channel"), ("customerName",), ("productName", "productId"), FIELDS]
)
async def test_groups_add_up_and_come_in_the_order_of_their_first_row(
    client: httpx.AsyncClient, fields: tuple[str, ...]
) -> None:
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row in rows_of("contoso"):
        if row["channel"] == "reseller":
            sums = groups.setdefault(tuple(row[field] for field in fields), [0, 0])
            sums[0] += int(row["licensesDeployed"] or 0)
            sums[1] += int(row["licensesSold"] or 0)
    body = (await ask(client, groupby=", ".join(fields), filter="channel eq 'Reseller'")).json()
    assert body["TotalCount"] == len(groups)
    expected = [
        {**dict(zip(fields, key, strict=True)), "licensesDeployed": sums[0], "licensesSold": sums[1]}
        for key, sums in groups.items()
    ]
    assert body["Value"] == expected[:10_000]


async def test_groups_are_paged(client: httpx.AsyncClient) -> None:
    whole = (await ask(client, groupby="productId")).json()
    page = (await ask(client, groupby="productId", top=10, skip=20)).json()
    assert page["Value"] == whole["Value"][20:30]
    assert (page["TotalCount"], page["@nextLink"]) == (whole["TotalCount"], "license?top=10&skip=30&groupby=productId")


@pytest.mark.parametrize("date", ["2026-11-13", "2026-11-13T00:00:00", "2026-11-13T02:00:00+02:00"])
async def test_earlier_processed_dates_can_be_asked_for(client: httpx.AsyncClient, date: str) -> None:
    body = (await ask(client, processedDateTime=date, top=50)).json()
    expected = rows_of("contoso", weeks_back=1)
    assert body["TotalCount"] == len(expected)
    assert body["Value"] == expected[:50]


@pytest.mark.parametrize("date", ["2026-11-14", "2020-01-01", "2026-11-27", "0001-01-01"])
async def test_an_unknown_processed_date_has_no_rows(client: httpx.AsyncClient, date: str) -> None:
    body = (await ask(client, processedDateTime=date)).json()
    assert body == {"Value": [], "@nextLink": None, "TotalCount": 0}


async def test_values_can_be_compared_to_the_letter() -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_sandbox(compare="exact")), base_url="http://sandbox"
    ) as client:
        assert (await ask(client, "sample", filter="serviceCode eq 'CRM'")).json()["TotalCount"] == 0
        assert (await ask(client, "sample", filter="serviceCode eq 'crm'")).json()["TotalCount"] == 1


async def test_an_accounts_rows_are_made_once_however_many_ask_at_once() -> None:
    app = create_sandbox()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox") as client:
        replies = await asyncio.gather(*(ask(client, f"contoso+as=user{n}", top=1) for n in range(20)))
    assert len({reply.text for reply in replies}) == 1


async def test_the_record_shows_what_was_sent_but_not_the_header_with_the_token() -> None:
    lines: list[str] = []
    app = create_sandbox(log=lines.append)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox") as client:
        await ask(client, "sample", filter="channel eq 'x y'")
        await ask(client, "nobody")
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


async def test_the_record_is_bounded(sandbox: Starlette) -> None:
    assert sandbox.state.calls.maxlen == 10_000


async def test_an_odd_name_comes_back_exactly_as_it_was_stored(client: httpx.AsyncClient) -> None:
    name = "x' or serviceCode eq 'crm"
    text = (await ask(client, filter=f"customerName eq '{name.replace(chr(39), chr(39) * 2)}'")).content
    rows = json.loads(text)["Value"]
    assert rows
    assert {row["customerName"] for row in rows} == {name}
