"""All fault switches, with the example, the value parser and the help of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.sandbox.accounts import ACCOUNTS
from gateway.sandbox.fault_values import (
    FaultError,
    Parser,
    choice,
    count,
    flag,
    optional,
    pair,
    seconds,
    status,
    text_value,
)  # fmt: skip
from gateway.sandbox.links import LINK_STYLES


@dataclass(frozen=True, slots=True)
class Switch:
    """One fault. ``example`` is its form in a token; ``field`` is its field, by default its name."""

    example: str
    parse: Parser
    help: str
    field: str = ""

    @property
    def name(self) -> str:
        return self.example.partition("=")[0]

    @property
    def target(self) -> str:
        return self.field or self.name.replace("-", "_")


_COUNT_FORMS: Final = ("string", "float", "fraction", "junk", "big", "huge", "negative")
_DATE_FORMS: Final = ("z", "offset", "fraction", "junk", "null", "none", "first", "last")
_TOTAL_FORMS: Final = ("missing", "null", "text", "negative", "float", "integral", "low", "high", "string")
_JSON: Final = ("cut", "trailing", "scalar", "deep", "nan", "badutf8", "dupkeys", "digits")

_TITLES: Final = {
    "rows": "Which rows",
    "time": "Time",
    "refusals": "Refusals",
    "envelope": "The envelope",
    "values": "Values of the rows",
    "bytes": "The bytes",
    "headers": "The headers",
}

SWITCHES: Final[Mapping[str, tuple[Switch, ...]]] = {
    "rows": (
        Switch("as=alice", text_value, "a label without effect: makes another token with the same rows", "label"),
        Switch("rows=500", count, "the account has only its first 500 rows", "limit"),
        Switch("exact", flag, "filter values are case-sensitive"),
        Switch("unstable", flag, "every response has another row order"),
        Switch("reprocess-after=3", count, "after 3 successful responses, all rows have a new date and other counts"),
        Switch("reprocess-total=3", count, "the same, and some rows disappear, so TotalCount changes too"),
        Switch("empty-after=3", count, "after 3 successful responses, the account is empty (200, TotalCount 0)"),
    ),
    "time": (
        Switch("latency=2", seconds, "delays every response by 2 seconds"),
        Switch("slow-page=10000:5", pair(count, seconds), "delays the response for skip=10000 by 5 seconds"),
        Switch("hang", flag, "never responds"),
        Switch("hang-body", flag, "sends headers, but never the body"),
        Switch("trickle=100", count, "sends the body at 100 bytes a second; below 10, one byte at a time"),
    ),
    "refusals": (
        Switch("throttle=30", seconds, "status 429 for 30 seconds from the first request on"),
        Switch("throttle-form=date", choice("seconds", "date", "absent", "junk", "negative", "huge"),
               "form of Retry-After: seconds, date, absent, junk, negative, huge"),
        Switch("status=503", status, "every response has status 503"),
        Switch("status-once=500", lambda text: (status(text), 1), "the first response has status 500", "status_times"),
        Switch("status-times=500:2", pair(status, count), "the first 2 responses have status 500"),
        Switch("status-from=500:10000", pair(status, count), "status 500 from skip=10000 on"),
        Switch("error-body=2", choice("1", "2", "3", "4", "5", "html", "empty"),
               "error bodies: 1 Partner Center, 2 Store analytics, 3 throttling gateway, 4 newer Partner API, "
               "5 Entra, html, empty"),
        Switch("mfa", flag, "status 401 with code 900421: multi-factor authentication required"),
        Switch("redirect=302", pair(status, text_value, "https://elsewhere.invalid/license"),
               "redirects to another host; redirect=302:URL redirects to that URL"),
        Switch("prefix=v1", choice("v1", "partner"), "the only path prefix, the other returns 404: v1, partner"),
    ),
    "envelope": (
        Switch("link=absolute", choice(*LINK_STYLES), f"form of the next link: {', '.join(LINK_STYLES)}"),
        Switch("link-key=nextLink", text_value, "key of the next link, such as nextLink or @odata.nextLink"),
        Switch("value=null", choice("null", "missing", "object", "text"), "list of rows: null, missing, object, text"),
        Switch("value-key=value", text_value, "key of the list of rows"),
        Switch("total=missing", choice(*_TOTAL_FORMS), f"TotalCount: {', '.join(_TOTAL_FORMS)}"),
        Switch("total-key=totalCount", text_value, "key of TotalCount"),
        Switch("cap=1000", count, "at most 1000 rows per response; the link continues after them"),
        Switch("over=5", count, "5 rows more than top"),
        Switch("empty-page=10000", pair(count, lambda text: choice("once", "always")(text) == "once", "always"),
               "an empty page with a link at skip=10000; empty-page=10000:once only the first time"),
    ),
    "values": (
        Switch("counts=string", choice(*_COUNT_FORMS), f"license counts: {', '.join(_COUNT_FORMS)}"),
        Switch("dates=z", choice(*_DATE_FORMS), f"processedDateTime: {', '.join(_DATE_FORMS)}"),
        Switch("nulls", flag, "in every row, one field is null and another missing"),
        Switch("rows-junk=null", choice("null", "number", "list", "text", "all", default="all"),
               "the first rows are not objects: null, number, list, text, all"),
        Switch("extra-keys", flag, "unknown keys in rows and envelope"),
        Switch("groupdate", flag, "grouped rows have processedDateTime too"),
        Switch("mixed-dates", flag, "crm rows are two days older than o365 rows"),
    ),
    "bytes": (
        Switch("bom", flag, "the body starts with a byte order mark"),
        Switch("json=cut", choice(*_JSON), f"malformed or unusual JSON: {', '.join(_JSON)}"),
        Switch("garbage", flag, "the body is not JSON"),
        Switch("truncate", flag, "the connection closes after half of Content-Length"),
        Switch("big=100000000", count, "a body of 100 million bytes"),
        Switch("bomb", optional(count, 268_435_456), "a small gzip body that inflates to 256 MiB, or bomb=BYTES"),
        Switch("gzip", flag, "compresses the body if Accept-Encoding has gzip"),
    ),
    "headers": (
        Switch("content-type=text/html", text_value, "another Content-Type; none removes it"),
        Switch("ids=other", choice("other", "other-once", "none"),
               "request ids: other (not echoed), other-once (only in the first response), none"),
        Switch("cookie", flag, "sets a cookie"),
        Switch("headers=2000", count, "2000 extra headers", "extra"),
    ),
}  # fmt: skip
"""The switches by the group of Faults that they belong to."""

_BY_NAME: Final = {switch.name: (group, switch) for group, switches in SWITCHES.items() for switch in switches}


def read_switch(name: str, value: str) -> tuple[str, dict[str, object]]:
    """Return a switch's group of Faults, and the field that it sets with its value. Raises FaultError."""
    if name not in _BY_NAME:
        raise FaultError(f"unknown fault {name!r}; known are {', '.join(sorted(_BY_NAME))}")
    group, switch = _BY_NAME[name]
    try:
        return group, {switch.target: switch.parse(value)}
    except FaultError as error:
        raise FaultError(f"fault {name!r} {error}, as in {switch.example}") from None


def _help() -> str:
    lines = ["Tokens (Authorization: Bearer TOKEN):", ""]
    lines += [
        f"  {account.name:<24} {account.row_count:,} rows, processed at {account.latest.isoformat()}"
        for account in ACCOUNTS.values()
    ]
    lines += ["", "Add faults with a plus sign: contoso+latency=2+throttle=30+bom+link=absolute", ""]
    for group, switches in SWITCHES.items():
        lines += [f"{_TITLES[group]}:", *(f"  {switch.example:<24} {switch.help}" for switch in switches), ""]
    return "\n".join(lines)


FAULTS_HELP: Final = _help()
"""All tokens and fault switches, each with an example."""
