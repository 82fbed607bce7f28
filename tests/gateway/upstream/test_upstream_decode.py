"""Decoding of bodies: exact values, values that become null and are counted, and rejected bodies."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dataset import Dataset
from gateway.errors import UpstreamBadResponse
from gateway.upstream import UpstreamResponse
from gateway.upstream.coercion import is_date
from gateway.upstream.decode import decode_leniently, decode_strictly, without_measures
from tests.gateway.upstream.scripted import DATASET, Row, envelope

FIELDS = [*DATASET.dimensions, *DATASET.measures, DATASET.date]


def decode(body: bytes, dataset: Dataset) -> UpstreamResponse:
    """Decode a body as the client does: strictly if possible, else leniently."""
    return decode_strictly(body, dataset) or decode_leniently(body, dataset)


def body(row: Any, **others: Any) -> bytes:
    """Return a body with one row."""
    return json.dumps({"Value": [row], **others}).encode()


def test_the_microsoft_pages_rows_are_read() -> None:
    row = {
        "processedDateTime": "2018-10-14T00:00:00",
        "serviceCode": "crm",
        "serviceName": "Microsoft Dynamics",
        "channel": "reseller",
        "customerTenantId": "0112A436-B14E-4888-967B-CA4BB2CF1234",
        "customerName": "TEST COMPANY",
        "productId": "54B84594-9C77-4499-8D65-5E0D5F410E78",
        "productName": "DYNAMICS AX TASK",
        "licensesDeployed": 0,
        "licensesSold": 9,
    }
    decoded = decode(json.dumps(envelope([row], 1)).encode(), DATASET)
    assert decoded.rows == (
        Row(
            "crm",
            "Microsoft Dynamics",
            "reseller",
            "0112A436-B14E-4888-967B-CA4BB2CF1234",
            "TEST COMPANY",
            "54B84594-9C77-4499-8D65-5E0D5F410E78",
            "DYNAMICS AX TASK",
            0,
            9,
            "2018-10-14T00:00:00",
        ),
    )
    assert (decoded.total_count, decoded.has_link, decoded.unreadable_values) == (1, False, 0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("2147483648", 2**31),
        ("9007199254740993", 2**53 + 1),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("1e3", 1000),
        ("6.0", 6),
        ("-0.0", 0),
        ("9007199254740993.0", 2**53 + 1),
        ("0.0e99999999", 0),
        ('"63"', 63),
        ('"-5"', -5),
        ('"9223372036854775807"', 2**63 - 1),
        ('"6.0"', 6),
        ("9223372036854775808", None),
        ("18446744073709551616", None),
        ("1.5", None),
        ("1e999999999", None),
        ("1e99999999999999999999999999", None),
        ("1e-5", None),
        ('"1.5"', None),
        ('"x"', None),
        ('""', None),
        ('" 6"', None),
        ('"1_000"', None),
        ('"0x10"', None),
        ('"NaN"', None),
        ('"Infinity"', None),
        ('"\\u0666"', None),
        ('"1e9999999999"', None),
        ("true", None),
        ("false", None),
        ("[1]", None),
        ('{"a": 1}', None),
    ],
)
def test_a_long_is_exact_or_null_and_counted(text: str, value: int | None) -> None:
    """The row's other fields survive."""
    decoded = decode(f'{{"Value": [{{"licensesSold": {text}, "channel": "reseller"}}]}}'.encode(), DATASET)
    assert decoded.rows == (Row(licenses_sold=value, channel="reseller"),)
    assert decoded.unreadable_values == (value is None)


@pytest.mark.parametrize("text", ["null", None])
def test_a_null_or_missing_field_is_null_and_not_counted(text: str | None) -> None:
    row = {} if text is None else dict.fromkeys(FIELDS)
    for read in (decode_strictly, decode_leniently):
        decoded = read(body(row), DATASET)
        assert decoded is not None
        assert (decoded.rows, decoded.unreadable_values) == ((Row(),), 0)


@pytest.mark.parametrize("value", [5, 1.5, True, ["x"], {"a": "b"}])
def test_a_value_that_is_not_text_is_null_in_a_text_field(value: Any) -> None:
    decoded = decode(body({"customerName": value, "channel": "reseller"}), DATASET)
    assert (decoded.rows, decoded.unreadable_values) == ((Row(channel="reseller"),), 1)


@pytest.mark.parametrize(
    "text",
    [
        "2018-10-14",
        "2018-10-14T00:00:00",
        "2018-10-14T00:00",
        "2018-10-14T00:00:00Z",
        "2017-03-10T00:00:00+00:00",
        "2017-03-14T03:25:16.36+00:00",
        "2018-10-14T00:00:00-11:30",
        "2018-10-14T23:59:59.1234567",
        "2018-10-14T23:59:59.1Z",
        "0001-01-01T00:00:00",
        "9999-12-31T23:59:59.9999999",
        "2024-02-29",
    ],
)
def test_an_iso_date_is_returned_unchanged(text: str) -> None:
    decoded = decode(body({"processedDateTime": text}), DATASET)
    assert (decoded.rows[0].processed_date_time, decoded.unreadable_values) == (text, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "junk",
        "10/14/2018",
        "3/5/2021 12:48:33 PM",
        "2018-10-14 00:00:00",
        "2018-13-01",
        "2018-02-29",
        "0000-01-01",
        "10000-01-01",
        "2018-10-14T24:00:00",
        "2018-10-14T00:00:00.12345678",
        "2018-10-14T00:00.5",
        "2018-10-14T00:00:00+25:00",
        "2018-10-14T00:00:00Z ",
        "2018-10-14\n",
        "2018-10-14Z",
        "٢٠١٨-10-14",
        "20181014",
    ],
)
def test_an_invalid_date_is_null_and_counted(text: str) -> None:
    decoded = decode(body({"processedDateTime": text, "channel": "reseller"}), DATASET)
    assert (decoded.rows, decoded.unreadable_values) == ((Row(channel="reseller"),), 1)


@given(st.datetimes(), st.sampled_from(["", "Z", "+00:00", "-07:00"]))
def test_every_datetime_that_python_writes_is_a_date(moment: Any, zone: str) -> None:
    assert is_date(moment.isoformat() + zone)


@pytest.mark.parametrize(
    ("others", "total", "link"),
    [
        ({}, None, False),
        ({"TotalCount": 5, "@nextLink": None}, 5, False),
        ({"totalCount": 5, "nextLink": "x"}, 5, True),
        ({"@odata.count": 5, "@odata.nextLink": "x"}, 5, True),
        ({"TotalCount": 0, "@nextLink": ""}, 0, False),
        ({"TotalCount": "5", "@nextLink": "//evil"}, 5, True),
        ({"TotalCount": 5.0}, 5, False),
        ({"TotalCount": -1}, None, False),
        ({"TotalCount": 1.5}, None, False),
        ({"TotalCount": "many"}, None, False),
        ({"TotalCount": True}, None, False),
        ({"TotalCount": [5]}, None, False),
        ({"TotalCount": 2**63}, None, False),
        ({"@nextLink": 7}, None, True),
        ({"@nextLink": False}, None, True),
        ({"@nextLink": {"uri": "x"}, "TotalCount": None}, None, True),
        ({"DataFreshnessTimestamp": "2022-07-29T08:42:00", "links": {}}, None, False),
    ],
)
def test_all_spellings_of_the_envelope_are_accepted(others: dict[str, Any], total: int | None, link: bool) -> None:
    for spelling in ("Value", "value"):
        decoded = decode(json.dumps({spelling: [{"licensesSold": 1}], **others}).encode(), DATASET)
        assert (decoded.rows, decoded.total_count, decoded.has_link) == ((Row(licenses_sold=1),), total, link)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"null",
        b"5",
        b'"text"',
        b"[]",
        b"{}",
        b'{"Value": null}',
        b'{"Value": {}}',
        b'{"Value": "x"}',
        b'{"VALUE": []}',
        b'{"Value": [null]}',
        b'{"Value": [5]}',
        b'{"Value": [[]]}',
        b'{"Value": ["x"]}',
        b'{"Value": [{}, null]}',
        b'{"Value": [',
        b'{"Value": []',
        b'{"Value": []} x',
        b'{"Value": []}{"Value": []}',
        b'{"Value": [{"licensesSold": NaN}]}',
        b'{"Value": [], "TotalCount": Infinity}',
        b'{"Value": [{"channel": "\xff"}]}',
        b'{"Value": [{"channel": "\\ud800"}]}',
        b'{"Value": ' + b"[" * 200_000,
        b'{"Value": [], "x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b"\xef\xbb\xbf",
        b"\xff\xfe{\x00}\x00",
        b"<html></html>",
        b'{"error": {"code": "x"}}',
    ],
)
def test_a_body_without_a_list_of_rows_is_rejected(text: bytes) -> None:
    """An empty result would be wrong."""
    with pytest.raises(UpstreamBadResponse) as caught:
        decode(text, DATASET)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_a_byte_order_mark_is_skipped() -> None:
    assert decode(b"\xef\xbb\xbf" + body({"licensesSold": 1}), DATASET).rows == (Row(licenses_sold=1),)
    assert decode(b"\xef\xbb\xbf" + body({"licensesSold": "1"}), DATASET).rows == (Row(licenses_sold=1),)


def test_the_last_of_duplicate_keys_wins() -> None:
    text = b'{"Value": [], "Value": [{"channel": "a", "channel": "b"}]}'
    assert decode(text, DATASET).rows == (Row(channel="b"),)


def test_a_number_with_thousands_of_digits_is_null() -> None:
    with pytest.raises(UpstreamBadResponse):
        decode(b'{"Value": [{"licensesSold": ' + b"9" * 6000 + b"}]}", DATASET)


def test_one_invalid_value_costs_only_itself() -> None:
    rows = [{"licensesSold": number, "licensesDeployed": "?" if number == 500 else 1} for number in range(1000)]
    decoded = decode(json.dumps(envelope(rows)).encode(), DATASET)
    assert [row.licenses_sold for row in decoded.rows] == list(range(1000))
    assert decoded.unreadable_values == 1
    assert decoded.rows[500].licenses_deployed is None


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=10),
    st.sampled_from(["2018-10-14T00:00:00", "63", "6.0", [], {}]),
)
good_rows = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.none() | st.text(max_size=8) for name in DATASET.dimensions},
        **{name: st.none() | st.integers(-(2**63), 2**63 - 1) for name in DATASET.measures},
        DATASET.date: st.none() | st.datetimes().map(lambda moment: moment.isoformat()),
    },
)


@given(st.lists(good_rows, max_size=4), st.none() | st.integers(0, 2**63 - 1), st.none() | st.text(max_size=5))
def test_both_ways_of_decoding_agree_on_good_rows(raw_rows: list[Any], total: int | None, link: str | None) -> None:
    """Strict decoding accepts all of them, and returns every value of the upstream unchanged."""
    text = json.dumps(envelope(raw_rows, total, link)).encode()
    usual = decode_strictly(text, DATASET)
    assert usual is not None
    assert usual == decode_leniently(text, DATASET)
    assert usual.unreadable_values == 0
    names = dict(zip(Row.__struct_encode_fields__, Row.__struct_fields__, strict=True))
    for row, given_row in zip(usual.rows, raw_rows, strict=True):
        assert all(getattr(row, names[name]) == given_row.get(name) for name in FIELDS)


@given(st.lists(st.dictionaries(st.sampled_from([*FIELDS, "unknown"]), values), max_size=4))
def test_no_value_loses_a_row_or_escapes_the_count(raw_rows: list[dict[str, Any]]) -> None:
    """Every field is the original value, its exact number, or a null that is counted."""
    text = json.dumps(envelope(raw_rows)).encode()
    if set().union(*raw_rows) == {"unknown"}:
        with pytest.raises(UpstreamBadResponse, match="No field"):
            decode(text, DATASET)
        return
    decoded = decode(text, DATASET)
    assert len(decoded.rows) == len(raw_rows)
    given_values = sum(row.get(name) is not None for row in raw_rows for name in FIELDS)
    readable_values = sum(getattr(row, name) is not None for row in decoded.rows for name in Row.__struct_fields__)
    assert given_values == readable_values + decoded.unreadable_values


SPELLINGS = {"pascal": lambda name: name[0].upper() + name[1:], "upper": str.upper, "swapped": str.swapcase}
FULL = {**dict.fromkeys(DATASET.dimensions, "x"), "licensesSold": 9, DATASET.date: "2018-10-14T00:00:00"}


@pytest.mark.parametrize("read", [decode, lambda text, dataset: decode_leniently(text, dataset)])
@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_known_names_in_another_case_are_read(read: Any, spelling: Any) -> None:
    raw_rows: list[dict[str, Any]] = [FULL, {"licensesSold": "7"}, {}, {"channel": None, "licensesDeployed": "many"}]
    respelled = [{spelling(name): value for name, value in row.items()} for row in raw_rows]
    expected = decode_leniently(json.dumps(envelope(raw_rows, 4)).encode(), DATASET)
    assert read(json.dumps(envelope(respelled, 4)).encode(), DATASET) == expected
    assert (expected.rows[0].licenses_sold, expected.unreadable_values) == (9, 1)


@pytest.mark.parametrize(
    "raw_rows",
    [
        [{"unknown": 1}],
        [{}, {"unknown": None}],
        [{"customer_name": "x"}],
        [{"Customer Name": "x"}],
        [{"CustomerName": "x", "Unknown": 1}],
        [{"CustomerName": "x"}, {"CUSTOMERNAME": "y"}],
        [{"": 1}],
        [{"name": "x"}] * 100,
    ],
    ids=str,
)
def test_rows_without_a_known_field_are_rejected(raw_rows: list[dict[str, Any]]) -> None:
    """Their fields would all be null, with a correct total and without a warning."""
    with pytest.raises(UpstreamBadResponse, match="No field"):
        decode(json.dumps(envelope(raw_rows, len(raw_rows))).encode(), DATASET)


@pytest.mark.parametrize("known", [{"channel": None}, {"channel": "x"}], ids=["null", "text"])
def test_one_known_field_leaves_the_other_rows_as_they_are(known: dict[str, Any]) -> None:
    decoded = decode(json.dumps(envelope([{"CustomerName": "x"}, known, {"unknown": 1}], 3)).encode(), DATASET)
    assert decoded.rows == (Row(), Row(channel=known["channel"]), Row())


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_the_documented_error(text: bytes) -> None:
    with pytest.raises(UpstreamBadResponse):
        decode(text, DATASET)


RESPELLED = replace(DATASET, other_spellings=(("other", "licensesSold"),))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"other":7}', 7),
        ('{"other" : 7}', 7),
        ('{"licensesSold":7}', 7),
        ('{"licensesSold":7,"other":8}', 7),
        ('{"other":8,"licensesSold":7}', 7),
        ('{"licensesSold":null,"other":8}', 8),
        ('{"other":null}', None),
        ('{"OTHER":7}', 7),
        ('{"other":7,"productName":"other"}', 7),
        (r'{"other":7,"productName":"\"other\":"}', 7),
        ('{"other":"7"}', 7),
        ('{"Other":null,"LicensesSold":9}', 9),
    ],
)
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "with BOM"])
def test_a_measure_may_have_another_spelling(text: str, value: int | None, start: bytes) -> None:
    """The field's own name wins."""
    decoded = decode(start + b'{"Value":[%s]}' % text.encode(), RESPELLED)
    assert [row.licenses_sold for row in decoded.rows] == [value]
    assert decoded.unreadable_values == 0


def test_rows_of_both_spellings_may_be_mixed() -> None:
    rows = [{"other": 1}, {"licensesSold": 2}, {"other": 3, "licensesSold": 4}]
    decoded = decode(json.dumps({"Value": rows}).encode(), RESPELLED)
    assert [row.licenses_sold for row in decoded.rows] == [1, 2, 4]


def test_one_other_spelling_is_decoded_in_one_pass() -> None:
    assert decode_strictly(b'{"Value":[{"other":1}],"TotalCount":1}', RESPELLED) is not None


def test_measures_can_be_left_out() -> None:
    decoded = decode(b'{"Value":[{"licensesSold":1,"productName":"a"},{"productName":"b"}],"TotalCount":9}', DATASET)
    bare = without_measures(decoded, DATASET)
    assert bare.rows == (Row(product_name="a"), Row(product_name="b"))
    assert bare.total_count == 9


def test_unreadable_measures_are_told_from_nulls() -> None:
    """By the numbers of their rows. Dimensions and dates are only counted."""
    rows = [{"licensesSold": None, "channel": 7}, {"licensesSold": "?"}, {"LicensesSold": 1}, {"licensesDeployed": [1]}]
    decoded = decode_leniently(json.dumps(envelope(rows)).encode(), DATASET)
    assert decoded.unreadable_measures == {"licensesSold": [1], "licensesDeployed": [3]}
    assert decoded.unreadable_values == 3
