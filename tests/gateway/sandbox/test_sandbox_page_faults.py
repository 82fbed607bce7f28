"""Faults of the envelope, the values, the headers and the JSON text. test_sandbox_wire.py tests those on the wire."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from gateway.sandbox.sandbox_page import LINK_STYLES
from tests.gateway.sandbox.client import PATH, get, get_json

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
async def test_next_links_have_every_style(client: httpx.AsyncClient, style: str) -> None:
    query = "top=10&skip=10&filter=channel%20ne%20%27a%26b%27"
    envelope = await get_json(client, f"contoso+link={style}", query)
    assert len(envelope["Value"]) == 10
    assert "@nextLink" not in envelope if style == "missing" else envelope["@nextLink"] == _LINKS[style]


async def test_some_next_links_continue_past_the_last_row(client: httpx.AsyncClient) -> None:
    async def link(style: str, skip: int) -> Any:
        return (await get_json(client, f"sample+link={style}", f"top=2&skip={skip}"))["@nextLink"]

    assert await link("on-last", 0) == "license?top=2&skip=2"
    assert await link("on-last", 2) is None
    assert await link("endless", 2) == "license?top=2&skip=4"


async def test_the_keys_of_the_envelope_can_differ(client: httpx.AsyncClient) -> None:
    envelope = await get_json(client, "sample+link-key=@odata.nextLink+value-key=value+total-key=totalCount")
    assert set(envelope) == {"value", "@odata.nextLink", "totalCount"}


@pytest.mark.parametrize(
    ("form", "total"),
    [("null", None), ("text", "many"), ("negative", -1), ("float", 2.5), ("integral", 2.0), ("low", 1), ("high", 1002),
     ("string", "2")],
)  # fmt: skip
async def test_totals_can_be_wrong(client: httpx.AsyncClient, form: str, total: object) -> None:
    assert (await get_json(client, f"sample+total={form}"))["TotalCount"] == total
    assert "TotalCount" not in await get_json(client, "sample+total=missing")


@pytest.mark.parametrize(("form", "value"), [("null", None), ("object", {"rows": []}), ("text", "rows")])
async def test_the_list_of_rows_can_have_another_type(client: httpx.AsyncClient, form: str, value: object) -> None:
    assert (await get_json(client, f"sample+value={form}"))["Value"] == value
    assert "Value" not in await get_json(client, "sample+value=missing")


async def test_short_pages_link_to_the_next_row(client: httpx.AsyncClient) -> None:
    envelope = await get_json(client, "contoso+cap=4", "top=10&skip=20")
    assert (len(envelope["Value"]), envelope["@nextLink"]) == (4, "license?top=10&skip=24")


async def test_long_pages_link_to_the_row_after_top(client: httpx.AsyncClient) -> None:
    envelope = await get_json(client, "contoso+over=3", "top=10&skip=20")
    assert (len(envelope["Value"]), envelope["@nextLink"]) == (13, "license?top=10&skip=30")


async def test_an_empty_page_can_have_a_next_link_once_or_always(client: httpx.AsyncClient) -> None:
    for token, sizes in (("contoso+empty-page=10:once", [0, 10]), ("contoso+empty-page=10", [0, 0])):
        pages = [await get_json(client, token, "top=10&skip=10") for _ in sizes]
        assert [len(page["Value"]) for page in pages] == sizes
        assert pages[0]["@nextLink"] == "license?top=10&skip=10"
        assert len((await get_json(client, token, "top=10&skip=0"))["Value"]) == 10


@pytest.mark.parametrize(
    ("form", "sold"),
    [("string", "9"), ("float", 9.0), ("fraction", 9.5), ("junk", "n/a"), ("big", 2**53 + 10), ("huge", 2**64),
     ("negative", -10)],
)  # fmt: skip
async def test_counts_can_be_malformed(client: httpx.AsyncClient, form: str, sold: object) -> None:
    row = (await get_json(client, f"sample+counts={form}"))["Value"][0]
    assert (row["licensesSold"], type(row["licensesSold"])) == (sold, type(sold))


@pytest.mark.parametrize(
    ("form", "date"),
    [("z", "2018-10-14T00:00:00Z"), ("offset", "2018-10-14T00:00:00+00:00"),
     ("fraction", "2018-10-14T00:00:00.1234567"),
     ("junk", "3/5/2021 12:48:33 PM"), ("null", None), ("first", "0001-01-01T00:00:00"),
     ("last", "9999-12-31T23:59:59.9999999")],
)  # fmt: skip
async def test_dates_can_be_malformed(client: httpx.AsyncClient, form: str, date: object) -> None:
    assert [row["processedDateTime"] for row in (await get_json(client, f"sample+dates={form}"))["Value"]] == [date] * 2
    assert "processedDateTime" not in (await get_json(client, "sample+dates=none"))["Value"][0]


async def test_rows_can_be_sorted_by_date(client: httpx.AsyncClient) -> None:
    """The date depends on the row, not on the page."""
    pages = [await get_json(client, "contoso+sorted-dates=3", f"top=4&skip={skip}") for skip in (0, 4)]
    dates = [row["processedDateTime"] for page in pages for row in page["Value"]]
    assert dates == sorted(dates, reverse=True)
    assert [dates.count(date) for date in dict.fromkeys(dates)] == [3, 3, 2]


async def test_one_date_can_have_several_spellings(client: httpx.AsyncClient) -> None:
    rows = (await get_json(client, "contoso+spelled-dates=2", "top=20"))["Value"]
    dates = [row["processedDateTime"] for row in rows]
    assert [dates.count(date) for date in dict.fromkeys(dates)] == [4] * 5
    moments = [datetime.fromisoformat(date.replace("0000000", "000000")) for date in dates]
    assert len({moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in moments}) == 1


@pytest.mark.parametrize(
    ("form", "key"), [("pascal", "LicensesSold"), ("upper", "LICENSESSOLD"), ("unknown", "_licensesSold")]
)
async def test_keys_of_rows_can_have_another_spelling(client: httpx.AsyncClient, form: str, key: str) -> None:
    plain, respelled = [await get_json(client, token) for token in ("sample", f"sample+keys={form}")]
    assert [row[key] for row in respelled["Value"]] == [row["licensesSold"] for row in plain["Value"]]
    assert "licensesSold" not in respelled["Value"][0]
    assert respelled["TotalCount"] == 2


async def test_fields_can_be_null_or_missing(client: httpx.AsyncClient) -> None:
    for row in (await get_json(client, "contoso+nulls", "top=30"))["Value"]:
        assert len(row) == 9
    rows = (await get_json(client, "contoso+nulls", "top=30"))["Value"]
    assert sum(None in row.values() for row in rows) >= 27


async def test_rows_can_be_other_values_than_objects(client: httpx.AsyncClient) -> None:
    assert (await get_json(client, "contoso+rows-junk", "top=5"))["Value"][:4] == [None, 42, [], "row"]
    assert (await get_json(client, "sample+rows-junk=number"))["Value"][0] == 42
    assert (await get_json(client, "tailspin+rows-junk"))["Value"] == []


async def test_rows_and_envelope_can_have_unknown_keys(client: httpx.AsyncClient) -> None:
    envelope = await get_json(client, "sample+extra-keys")
    assert {"DataFreshnessTimestamp", "unheardOf"} <= set(envelope)
    assert {"market", "unheardOf"} <= set(envelope["Value"][0])


async def test_groups_can_have_dates_and_services_can_have_different_dates(client: httpx.AsyncClient) -> None:
    assert "processedDateTime" not in (await get_json(client, "sample", "groupby=channel"))["Value"][0]
    grouped = await get_json(client, "sample+groupdate", "groupby=channel")
    assert grouped["Value"][0]["processedDateTime"] == "2018-10-14T00:00:00"
    dates = [row["processedDateTime"] for row in (await get_json(client, "sample+mixed-dates"))["Value"]]
    assert dates == ["2018-10-12T00:00:00", "2018-10-14T00:00:00"]


async def test_bodies_can_be_malformed(client: httpx.AsyncClient) -> None:
    sound = (await get(client, "sample")).content

    async def damaged(switch: str) -> bytes:
        return (await get(client, f"sample+{switch}")).content

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


async def test_headers_can_be_missing_replaced_or_added(client: httpx.AsyncClient) -> None:
    sent = {"Authorization": "Bearer sample+ids=other", "MS-RequestId": "mine"}
    assert (await client.get(PATH, headers=sent)).headers["ms-requestid"] != "mine"
    assert "ms-requestid" not in (await get(client, "sample+ids=none")).headers
    sent = {"Authorization": "Bearer sample+ids=other-once", "MS-RequestId": "mine"}
    assert [(await client.get(PATH, headers=sent)).headers["ms-requestid"] == "mine" for _ in range(2)] == [False, True]
    assert "session=" in (await get(client, "sample+cookie")).headers["set-cookie"]
    assert (await get(client, "sample+headers=50")).headers["x-needless-49"] == "x"
    response = await get(client, "sample+content-type=application/problem%2Bjson")
    assert response.headers["content-type"] == "application/problem+json"
    assert "content-type" not in (await get(client, "sample+content-type=none")).headers


async def test_bodies_are_compressed_if_fault_and_client_allow_it(client: httpx.AsyncClient) -> None:
    assert "content-encoding" not in (await get(client, "sample")).headers
    response = await get(client, "sample+gzip")
    assert (response.headers["content-encoding"], response.json()["TotalCount"]) == ("gzip", 2)
    sent = {"Authorization": "Bearer sample+gzip", "Accept-Encoding": "identity"}
    assert "content-encoding" not in (await client.get(PATH, headers=sent)).headers
