"""Fault switches that show in the content of a reply; those of bytes and time are tested over a socket."""

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
from gateway.sandbox.fault_table import SWITCHES
from gateway.sandbox.fault_values import FaultError
from gateway.sandbox.faults import Faults, parse_token
from gateway.sandbox.links import LINK_STYLES
from gateway.sandbox.tokens import History

PATH = "/v1/analytics/commercial/deployment/license"
_ALL = [switch for group in SWITCHES.values() for switch in group]


async def ask(client: httpx.AsyncClient, token: str, query: str = "top=10") -> httpx.Response:
    return await client.get(f"{PATH}?{query}", headers={"Authorization": f"Bearer {token}"})


async def body(client: httpx.AsyncClient, token: str, query: str = "top=10") -> Any:
    reply = await ask(client, token, query)
    assert reply.status_code == 200
    return reply.json()


def test_every_switch_sets_a_field_and_every_field_has_a_switch() -> None:
    switched = {(group, switch.target) for group, switches in SWITCHES.items() for switch in switches}
    fields = {
        (group.name, field.name)
        for group in dataclasses.fields(Faults)
        for field in dataclasses.fields(getattr(Faults(), group.name))
    }
    assert switched == fields


@pytest.mark.parametrize("switch", _ALL, ids=lambda switch: switch.name)
def test_the_example_of_every_switch_is_understood_and_in_the_help(switch: Any) -> None:
    assert parse_token(f"contoso+{switch.example}").faults != Faults()
    assert f"  {switch.example} " in FAULTS_HELP


@pytest.mark.parametrize(
    "switch",
    [
        "", "unknown", "bom=1", "rows", "rows=-1", "rows=x", "latency=-1", "latency=nan", "latency=inf", "latency=",
        "status=99", "status=600", "status-times=500", "link=elsewhere", "total=", "slow-page=5", "empty-page=0:twice",
        "content-type=%0D%0A", "rows=1=2", "Bom", "as", "prefix=v2",
    ],
)  # fmt: skip
async def test_unknown_switches_and_values_are_refused_with_a_hint(client: httpx.AsyncClient, switch: str) -> None:
    reply = await ask(client, f"contoso+{switch}")
    assert reply.status_code == 400
    assert "fault" in reply.json()["description"]
    with pytest.raises(FaultError):
        parse_token(f"contoso+{switch}")


async def test_a_label_changes_nothing_and_a_limit_cuts_the_rows(client: httpx.AsyncClient) -> None:
    whole = await body(client, "contoso", "top=100")
    assert await body(client, "contoso+as=alice", "top=100") == whole
    limited = await body(client, "contoso+rows=7", "top=100")
    assert limited == {"Value": whole["Value"][:7], "@nextLink": None, "TotalCount": 7}


async def test_values_compare_exactly_on_demand(client: httpx.AsyncClient) -> None:
    query = "filter=serviceCode%20eq%20%27CRM%27"
    assert (await body(client, "sample", query))["TotalCount"] == 1
    assert (await body(client, "sample+exact", query))["TotalCount"] == 0


async def test_an_unstable_order_differs_from_reply_to_reply_with_the_same_rows(client: httpx.AsyncClient) -> None:
    first, second = [(await body(client, "contoso+unstable+rows=50", "top=50"))["Value"] for _ in range(2)]
    assert first != second
    assert sorted(map(json.dumps, first)) == sorted(map(json.dumps, second))


@pytest.mark.parametrize("switch", ["reprocess-after", "reprocess-total"])
async def test_data_is_processed_anew_after_some_replies(client: httpx.AsyncClient, switch: str) -> None:
    before, same, after = [await body(client, f"contoso+{switch}=2", "top=3&skip=5") for _ in range(3)]
    assert before == same
    assert {row["processedDateTime"] for row in after["Value"]} == {"2026-11-27T00:00:00"}
    assert after["Value"][0]["licensesSold"] > before["Value"][0]["licensesSold"] or switch == "reprocess-total"
    assert after["TotalCount"] == (12_000 if switch == "reprocess-after" else 11_988)
    earlier = await body(client, f"contoso+{switch}=2", "top=3&skip=5&processedDateTime=2026-11-20")
    assert earlier["Value"] == before["Value"]


async def test_an_account_can_become_empty(client: httpx.AsyncClient) -> None:
    replies = [await body(client, "sample+empty-after=1") for _ in range(3)]
    assert [len(reply["Value"]) for reply in replies] == [2, 0, 0]
    assert replies[2] == {"Value": [], "@nextLink": None, "TotalCount": 0}


async def test_a_throttled_token_is_served_when_its_time_has_passed(client: httpx.AsyncClient) -> None:
    first = await ask(client, "sample+throttle=0.2")
    assert (first.status_code, first.headers["retry-after"]) == (429, "1")
    assert first.json() == {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 1 seconds."}
    assert (await ask(client, "sample+throttle=0.2")).status_code == 429
    assert (await ask(client, "sample+throttle=0.2+as=other")).status_code == 429
    await asyncio.sleep(0.21)
    assert (await ask(client, "sample+throttle=0.2")).status_code == 200
    assert (await ask(client, "sample")).status_code == 200


def test_the_window_of_a_throttle_opens_once_with_the_first_request() -> None:
    history = History()
    assert [history.throttled_for(30.0, now) for now in (100.0, 110.0, 129.5, 130.0, 500.0)] == [30.0, 20.0, 0.5, 0, 0]


def test_rounding_never_lengthens_a_throttle() -> None:
    opened_seconds = 2005.474
    assert (opened_seconds + 60.0) - opened_seconds > 60.0
    assert History().throttled_for(60.0, opened_seconds) == 60.0


async def test_retry_after_can_be_written_in_many_ways(client: httpx.AsyncClient) -> None:
    async def header(form: str) -> str | None:
        headers: Mapping[str, str] = (await ask(client, f"sample+throttle=60+throttle-form={form}")).headers
        return headers.get("retry-after")

    assert await header("seconds") == "60"
    assert await header("absent") is None
    assert await header("junk") == "soon"
    assert await header("negative") == "-60"
    assert len(await header("huge") or "") > 18
    assert abs(parsedate_to_datetime(await header("date") or "").timestamp() - time.time() - 60) < 5


async def test_statuses_can_be_asked_for_always_at_first_or_from_a_page_on(client: httpx.AsyncClient) -> None:
    async def statuses(token: str, *queries: str) -> list[int]:
        return [(await ask(client, token, query)).status_code for query in queries]

    assert await statuses("sample+status=503", "", "") == [503, 503]
    assert await statuses("sample+status-once=500", "", "") == [500, 200]
    assert await statuses("sample+status-times=502:2", "", "", "") == [502, 502, 200]
    assert await statuses("sample+status-from=500:10", "skip=9", "skip=10", "top=1&skip=11") == [200, 500, 500]
    assert await statuses("sample+mfa", "") == [401]
    assert await statuses("sample+status=204", "") == [204]


async def test_multi_factor_authentication_has_its_own_code(client: httpx.AsyncClient) -> None:
    assert (await ask(client, "sample+mfa")).json()["code"] == 900421


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
async def test_errors_come_in_every_documented_shape(client: httpx.AsyncClient, shape: str, keys: set[str]) -> None:
    reply = await ask(client, f"sample+status=500+error-body={shape}")
    assert set(reply.json()) == keys


async def test_errors_can_be_a_page_or_nothing(client: httpx.AsyncClient) -> None:
    page = await ask(client, "sample+status=502+error-body=html")
    assert page.text.startswith("<html>")
    assert page.headers["content-type"].startswith("text/html")
    assert (await ask(client, "sample+status=502+error-body=empty")).content == b""


async def test_redirects_lead_to_another_host(client: httpx.AsyncClient) -> None:
    reply = await ask(client, "sample+redirect=307")
    assert (reply.status_code, reply.headers["location"]) == (307, "https://elsewhere.invalid/license")
    reply = await ask(client, "sample+redirect=302:http://127.0.0.1:9/x")
    assert reply.headers["location"] == "http://127.0.0.1:9/x"


async def test_one_prefix_can_be_missing(client: httpx.AsyncClient) -> None:
    for prefix, statuses in (("v1", (200, 404)), ("partner", (404, 200))):
        headers = {"Authorization": f"Bearer sample+prefix={prefix}"}
        assert (await client.get(PATH, headers=headers)).status_code == statuses[0]
        assert (await client.get(f"/partner{PATH}", headers=headers)).status_code == statuses[1]


_LINKS = {
    "relative": "license?top=10&skip=20&filter=channel ne 'a&b'",
    "absolute": f"http://sandbox{PATH}?top=10&skip=20&filter=channel%20ne%20%27a%26b%27",
    "url-relative": "?top=10&skip=20&filter=channel%20ne%20%27a%26b%27",
    "double-v1": "http://sandbox/v1//v1/analytics/commercial/deployment/license?top=10&skip=20"
    "&filter=channel%20ne%20%27a%26b%27",
    "foreign": f"https://elsewhere.invalid{PATH}?top=10&skip=20&filter=channel%20ne%20%27a%26b%27",
    "userinfo": f"https://api.partnercenter.microsoft.com@elsewhere.invalid{PATH}?top=10&skip=20"
    "&filter=channel%20ne%20%27a%26b%27",
    "changed": "license?top=1&skip=20&filter=channel eq 'direct'",
    "control": "license?skip=20\r\nHost: elsewhere.invalid\x00",
    "stuck": "license?top=10&skip=10&filter=channel ne 'a&b'",
    "loop": "license?top=10&skip=0&filter=channel ne 'a&b'",
    "backward": "license?top=10&skip=0&filter=channel ne 'a&b'",
    "number": 20,
    "object": {"uri": "license?top=10&skip=20&filter=channel ne 'a&b'", "method": "GET"},
    "always-null": None,
    "never": None,
    "on-last": "license?top=10&skip=20&filter=channel ne 'a&b'",
    "endless": "license?top=10&skip=20&filter=channel ne 'a&b'",
}


@pytest.mark.parametrize("style", LINK_STYLES)
async def test_links_come_in_every_style(client: httpx.AsyncClient, style: str) -> None:
    query = "top=10&skip=10&filter=channel%20ne%20%27a%26b%27"
    reply = await body(client, f"contoso+link={style}", query)
    assert len(reply["Value"]) == 10
    assert "@nextLink" not in reply if style == "missing" else reply["@nextLink"] == _LINKS[style]


async def test_some_links_do_not_end_with_the_rows(client: httpx.AsyncClient) -> None:
    async def link(style: str, skip: int) -> Any:
        return (await body(client, f"sample+link={style}", f"top=2&skip={skip}"))["@nextLink"]

    assert await link("on-last", 0) == "license?top=2&skip=2"
    assert await link("on-last", 2) is None
    assert await link("endless", 2) == "license?top=2&skip=4"


async def test_the_keys_of_the_envelope_can_be_spelled_otherwise(client: httpx.AsyncClient) -> None:
    reply = await body(client, "sample+link-key=@odata.nextLink+value-key=value+total-key=totalCount")
    assert set(reply) == {"value", "@odata.nextLink", "totalCount"}


@pytest.mark.parametrize(
    ("form", "total"),
    [("null", None), ("text", "many"), ("negative", -1), ("float", 2.5), ("integral", 2.0), ("low", 1), ("high", 1002),
     ("string", "2")],
)  # fmt: skip
async def test_totals_can_be_wrong(client: httpx.AsyncClient, form: str, total: object) -> None:
    assert (await body(client, f"sample+total={form}"))["TotalCount"] == total
    assert "TotalCount" not in await body(client, "sample+total=missing")


@pytest.mark.parametrize(("form", "value"), [("null", None), ("object", {"rows": []}), ("text", "rows")])
async def test_the_list_of_rows_can_be_something_else(client: httpx.AsyncClient, form: str, value: object) -> None:
    assert (await body(client, f"sample+value={form}"))["Value"] == value
    assert "Value" not in await body(client, "sample+value=missing")


async def test_short_pages_link_to_the_next_row(client: httpx.AsyncClient) -> None:
    reply = await body(client, "contoso+cap=4", "top=10&skip=20")
    assert (len(reply["Value"]), reply["@nextLink"]) == (4, "license?top=10&skip=24")


async def test_long_pages_link_to_the_row_that_was_asked_for(client: httpx.AsyncClient) -> None:
    reply = await body(client, "contoso+over=3", "top=10&skip=20")
    assert (len(reply["Value"]), reply["@nextLink"]) == (13, "license?top=10&skip=30")


async def test_an_empty_page_promises_more_once_or_always(client: httpx.AsyncClient) -> None:
    for token, sizes in (("contoso+empty-page=10:once", [0, 10]), ("contoso+empty-page=10", [0, 0])):
        replies = [await body(client, token, "top=10&skip=10") for _ in sizes]
        assert [len(reply["Value"]) for reply in replies] == sizes
        assert replies[0]["@nextLink"] == "license?top=10&skip=10"
        assert len((await body(client, token, "top=10&skip=0"))["Value"]) == 10


@pytest.mark.parametrize(
    ("form", "sold"),
    [("string", "9"), ("float", 9.0), ("fraction", 9.5), ("junk", "n/a"), ("big", 2**53 + 10), ("huge", 2**64),
     ("negative", -10)],
)  # fmt: skip
async def test_counts_can_be_odd(client: httpx.AsyncClient, form: str, sold: object) -> None:
    row = (await body(client, f"sample+counts={form}"))["Value"][0]
    assert (row["licensesSold"], type(row["licensesSold"])) == (sold, type(sold))


@pytest.mark.parametrize(
    ("form", "date"),
    [("z", "2018-10-14T00:00:00Z"), ("offset", "2018-10-14T00:00:00+00:00"),
     ("fraction", "2018-10-14T00:00:00.1234567"),
     ("junk", "3/5/2021 12:48:33 PM"), ("null", None), ("first", "0001-01-01T00:00:00"),
     ("last", "9999-12-31T23:59:59.9999999")],
)  # fmt: skip
async def test_dates_can_be_odd(client: httpx.AsyncClient, form: str, date: object) -> None:
    assert [row["processedDateTime"] for row in (await body(client, f"sample+dates={form}"))["Value"]] == [date] * 2
    assert "processedDateTime" not in (await body(client, "sample+dates=none"))["Value"][0]


async def test_fields_can_be_null_or_missing(client: httpx.AsyncClient) -> None:
    for row in (await body(client, "contoso+nulls", "top=30"))["Value"]:
        assert len(row) == 9
    rows = (await body(client, "contoso+nulls", "top=30"))["Value"]
    assert sum(None in row.values() for row in rows) >= 27


async def test_rows_can_be_junk(client: httpx.AsyncClient) -> None:
    assert (await body(client, "contoso+rows-junk", "top=5"))["Value"][:4] == [None, 42, [], "row"]
    assert (await body(client, "sample+rows-junk=number"))["Value"][0] == 42
    assert (await body(client, "tailspin+rows-junk"))["Value"] == []


async def test_unheard_of_keys_appear(client: httpx.AsyncClient) -> None:
    reply = await body(client, "sample+extra-keys")
    assert {"DataFreshnessTimestamp", "unheardOf"} <= set(reply)
    assert {"workloadCode", "unheardOf"} <= set(reply["Value"][0])


async def test_groups_can_have_a_date_and_services_different_ones(client: httpx.AsyncClient) -> None:
    assert "processedDateTime" not in (await body(client, "sample", "groupby=channel"))["Value"][0]
    grouped = await body(client, "sample+groupdate", "groupby=channel")
    assert grouped["Value"][0]["processedDateTime"] == "2018-10-14T00:00:00"
    dates = [row["processedDateTime"] for row in (await body(client, "sample+mixed-dates"))["Value"]]
    assert dates == ["2018-10-12T00:00:00", "2018-10-14T00:00:00"]


async def test_bytes_can_be_damaged(client: httpx.AsyncClient) -> None:
    sound = (await ask(client, "sample")).content

    async def damaged(switch: str) -> bytes:
        return (await ask(client, f"sample+{switch}")).content

    assert await damaged("bom") == b"\xef\xbb\xbf" + sound
    assert await damaged("json=cut") == sound[: len(sound) // 2]
    assert (await damaged("json=trailing")).startswith(sound)
    assert await damaged("json=scalar") == b"42"
    assert (await damaged("json=deep")).startswith(b"[" * 100_000)
    assert b":NaN," in await damaged("json=nan")
    assert (await damaged("json=dupkeys")).count(b'"Value"') == 2
    assert b"9" * 6_000 in await damaged("json=digits")
    for switch in ("garbage", "json=badutf8"):
        with pytest.raises(ValueError, match=r"."):
            json.loads(await damaged(switch))


async def test_headers_can_be_odd(client: httpx.AsyncClient) -> None:
    sent = {"Authorization": "Bearer sample+ids=other", "MS-RequestId": "mine"}
    assert (await client.get(PATH, headers=sent)).headers["ms-requestid"] != "mine"
    assert "ms-requestid" not in (await ask(client, "sample+ids=none")).headers
    sent = {"Authorization": "Bearer sample+ids=other-once", "MS-RequestId": "mine"}
    assert [(await client.get(PATH, headers=sent)).headers["ms-requestid"] == "mine" for _ in range(2)] == [False, True]
    assert "session=" in (await ask(client, "sample+cookie")).headers["set-cookie"]
    assert (await ask(client, "sample+headers=50")).headers["x-needless-49"] == "x"
    reply = await ask(client, "sample+content-type=application/problem%2Bjson")
    assert reply.headers["content-type"] == "application/problem+json"
    assert "content-type" not in (await ask(client, "sample+content-type=none")).headers


async def test_replies_are_compressed_only_where_both_sides_want_it(client: httpx.AsyncClient) -> None:
    assert "content-encoding" not in (await ask(client, "sample")).headers
    reply = await ask(client, "sample+gzip")
    assert (reply.headers["content-encoding"], reply.json()["TotalCount"]) == ("gzip", 2)
    sent = {"Authorization": "Bearer sample+gzip", "Accept-Encoding": "identity"}
    assert "content-encoding" not in (await client.get(PATH, headers=sent)).headers
