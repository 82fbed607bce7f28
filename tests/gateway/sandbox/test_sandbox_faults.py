"""Faults of rows, time and refusals. test_sandbox_wire.py tests those that need a socket."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from gateway.sandbox import FAULTS_HELP
from gateway.sandbox.faults import Faults
from gateway.sandbox.switches import FaultError
from gateway.sandbox.tokens import History, parse_faults
from tests.gateway.sandbox.client import PATH, get, get_json

_FIELDS = [field for group in dataclasses.fields(Faults) for field in dataclasses.fields(getattr(Faults(), group.name))]
_ALL = [switch for field in _FIELDS for switch in field.metadata["switches"]]


def test_every_switch_sets_a_field_and_every_field_has_a_switch() -> None:
    assert [field.name for field in _FIELDS if not field.metadata["switches"]] == []
    assert len({switch.name for switch in _ALL}) == len(_ALL)


@pytest.mark.parametrize("switch", _ALL, ids=lambda switch: switch.name)
def test_the_example_of_every_switch_is_valid_and_in_the_help(switch: Any) -> None:
    assert parse_faults([switch.example]) != Faults()
    assert f"  {switch.example} " in FAULTS_HELP


@pytest.mark.parametrize(
    "switch",
    [
        "", "unknown", "bom=1", "rows", "rows=-1", "rows=x", "latency=-1", "latency=nan", "latency=inf", "latency=",
        "status=99", "status=600", "status-times=500", "link=elsewhere", "total=", "slow-page=5", "empty-page=0:twice",
        "content-type=%0D%0A", "rows=1=2", "Bom", "as", "prefix=v2",
    ],
)  # fmt: skip
async def test_unknown_switches_and_invalid_values_return_400_with_a_hint(
    client: httpx.AsyncClient, switch: str
) -> None:
    response = await get(client, f"contoso+{switch}")
    assert response.status_code == 400
    assert "fault" in response.json()["description"]
    with pytest.raises(FaultError):
        parse_faults(switch.split("+"))


async def test_a_label_has_no_effect_and_a_limit_removes_rows(client: httpx.AsyncClient) -> None:
    whole = await get_json(client, "contoso", "top=100")
    assert await get_json(client, "contoso+as=alice", "top=100") == whole
    limited = await get_json(client, "contoso+rows=7", "top=100")
    assert limited == {"Value": whole["Value"][:7], "@nextLink": None, "TotalCount": 7}


async def test_filters_can_be_case_sensitive(client: httpx.AsyncClient) -> None:
    query = "filter=serviceCode%20eq%20%27CRM%27"
    assert (await get_json(client, "sample", query))["TotalCount"] == 1
    assert (await get_json(client, "sample+exact", query))["TotalCount"] == 0


async def test_an_unstable_order_changes_with_every_response(client: httpx.AsyncClient) -> None:
    first, second = [(await get_json(client, "contoso+unstable+rows=50", "top=50"))["Value"] for _ in range(2)]
    assert first != second
    assert sorted(map(json.dumps, first)) == sorted(map(json.dumps, second))


@pytest.mark.parametrize("switch", ["reprocess-after", "reprocess-total"])
async def test_data_is_reprocessed_after_some_responses(client: httpx.AsyncClient, switch: str) -> None:
    before, same, after = [await get_json(client, f"contoso+{switch}=2", "top=3&skip=5") for _ in range(3)]
    assert before == same
    assert {row["processedDateTime"] for row in after["Value"]} == {"2026-11-27T00:00:00"}
    assert after["Value"][0]["licensesSold"] > before["Value"][0]["licensesSold"] or switch == "reprocess-total"
    assert after["TotalCount"] == (12_000 if switch == "reprocess-after" else 11_988)
    earlier = await get_json(client, f"contoso+{switch}=2", "top=3&skip=5&processedDateTime=2026-11-20")
    assert earlier["Value"] == before["Value"]


async def test_one_count_changes_after_some_responses_and_nothing_else(client: httpx.AsyncClient) -> None:
    before, same, after = [await get_json(client, "contoso+recount-after=2", "top=30") for _ in range(3)]
    assert before == same
    before["Value"][0]["licensesDeployed"] += 1
    assert after == before
    token, query = "contoso+recount-after=1+as=groups", "groupby=serviceCode&top=30"
    before, after = [await get_json(client, token, query) for _ in range(2)]
    before["Value"][0]["licensesDeployed"] += 1
    assert after == before


async def test_an_account_can_become_empty(client: httpx.AsyncClient) -> None:
    pages = [await get_json(client, "sample+empty-after=1") for _ in range(3)]
    assert [len(page["Value"]) for page in pages] == [2, 0, 0]
    assert pages[2] == {"Value": [], "@nextLink": None, "TotalCount": 0}


async def test_a_throttle_ends_after_its_seconds(client: httpx.AsyncClient) -> None:
    first = await get(client, "sample+throttle=0.2")
    assert (first.status_code, first.headers["retry-after"]) == (429, "1")
    assert first.json() == {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 1 seconds."}
    assert (await get(client, "sample+throttle=0.2")).status_code == 429
    assert (await get(client, "sample+throttle=0.2+as=other")).status_code == 429
    await asyncio.sleep(0.21)
    assert (await get(client, "sample+throttle=0.2")).status_code == 200
    assert (await get(client, "sample")).status_code == 200


def test_the_first_request_opens_the_only_throttle_window() -> None:
    history = History()
    assert [history.throttled_for(30.0, now) for now in (100.0, 110.0, 129.5, 130.0, 500.0)] == [30.0, 20.0, 0.5, 0, 0]


def test_rounding_never_lengthens_a_throttle() -> None:
    opened_seconds = 2005.474
    assert (opened_seconds + 60.0) - opened_seconds > 60.0
    assert History().throttled_for(60.0, opened_seconds) == 60.0


async def test_retry_after_has_several_forms(client: httpx.AsyncClient) -> None:
    async def header(form: str) -> str | None:
        headers: Mapping[str, str] = (await get(client, f"sample+throttle=60+throttle-form={form}")).headers
        return headers.get("retry-after")

    assert await header("seconds") == "60"
    assert await header("absent") is None
    assert await header("junk") == "soon"
    assert await header("negative") == "-60"
    assert len(await header("huge") or "") > 18
    assert abs(parsedate_to_datetime(await header("date") or "").timestamp() - time.time() - 60) < 5


async def test_error_statuses_apply_always_at_first_or_from_a_page_on(client: httpx.AsyncClient) -> None:
    async def statuses(token: str, *queries: str) -> list[int]:
        return [(await get(client, token, query)).status_code for query in queries]

    assert await statuses("sample+status=503", "", "") == [503, 503]
    assert await statuses("sample+status-once=500", "", "") == [500, 200]
    assert await statuses("sample+status-times=502:2", "", "", "") == [502, 502, 200]
    assert await statuses("sample+status-from=500:10", "skip=9", "skip=10", "top=1&skip=11") == [200, 500, 500]
    assert await statuses("sample+mfa", "") == [401]
    assert await statuses("sample+status=204", "") == [204]


async def test_multi_factor_authentication_has_its_own_code(client: httpx.AsyncClient) -> None:
    assert (await get(client, "sample+mfa")).json()["code"] == 900421


@pytest.mark.parametrize(
    ("shape", "keys"),
    [
        ("1", {"code", "description", "data", "source"}),
        ("2", {"code", "data", "details", "innererror", "message", "source"}),
        ("3", {"statusCode", "message"}),
        ("4", {"error"}),
        ("5", {"error", "error_description", "error_codes"}),
    ],
)
async def test_error_bodies_have_every_documented_shape(client: httpx.AsyncClient, shape: str, keys: set[str]) -> None:
    response = await get(client, f"sample+status=500+error-body={shape}")
    assert set(response.json()) == keys


async def test_error_bodies_can_be_html_or_empty(client: httpx.AsyncClient) -> None:
    page = await get(client, "sample+status=502+error-body=html")
    assert page.text.startswith("<html>")
    assert page.headers["content-type"].startswith("text/html")
    assert (await get(client, "sample+status=502+error-body=empty")).content == b""


async def test_redirects_point_to_another_host(client: httpx.AsyncClient) -> None:
    response = await get(client, "sample+redirect=307")
    assert (response.status_code, response.headers["location"]) == (307, "https://elsewhere.invalid/license")
    response = await get(client, "sample+redirect=302:http://127.0.0.1:9/x")
    assert response.headers["location"] == "http://127.0.0.1:9/x"


async def test_one_prefix_can_be_missing(client: httpx.AsyncClient) -> None:
    for prefix, statuses in (("v1", (200, 404)), ("partner", (404, 200))):
        headers = {"Authorization": f"Bearer sample+prefix={prefix}"}
        assert (await client.get(PATH, headers=headers)).status_code == statuses[0]
        assert (await client.get(f"/partner{PATH}", headers=headers)).status_code == statuses[1]
