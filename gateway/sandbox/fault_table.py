"""All fault switches: one line each with its example, its help and how its value is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

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
from gateway.sandbox.rows import ACCOUNTS


@dataclass(frozen=True, slots=True)
class Switch:
    """One fault: ``example`` is how a token writes it, ``field`` where it lands in Faults if not under its name."""

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
_TOTALS: Final = ("missing", "null", "text", "negative", "float", "integral", "low", "high", "string")
_JSON: Final = ("cut", "trailing", "scalar", "deep", "nan", "badutf8", "dupkeys", "digits")

SWITCHES: Final[Mapping[str, tuple[Switch, ...]]] = {
    "Which rows": (
        Switch("as=alice", text_value, "a label without effect: another token that sees the same rows", "label"),
        Switch("rows=500", count, "the account has only its first 500 rows"),
        Switch("exact", flag, "filter values compare to the letter, not without regard to case"),
        Switch("unstable", flag, "every reply has the rows in another order"),
        Switch("reprocess-after=3", count, "after 3 good replies all rows have a new date and other counts"),
        Switch("reprocess-total=3", count, "the same, and rows disappear, so TotalCount changes, too"),
        Switch("empty-after=3", count, "after 3 good replies there are no rows any more (200, TotalCount 0)"),
    ),
    "Time": (
        Switch("latency=2", seconds, "every reply takes 2 seconds"),
        Switch("slow-page=10000:5", pair(count, seconds), "the reply for skip=10000 takes 5 seconds"),
        Switch("hang", flag, "no reply, ever"),
        Switch("hang-body", flag, "headers, then nothing"),
        Switch("trickle=100", count, "the body comes at 100 bytes a second, one byte at a time if slower than 10"),
    ),
    "Refusals": (
        Switch("throttle=30", seconds, "429 from the first request on until 30 seconds have passed"),
        Switch("throttle-form=date", choice("seconds", "date", "absent", "junk", "negative", "huge"),
               "how Retry-After is written: seconds, date, absent, junk, negative, huge"),
        Switch("status=503", status, "every reply has status 503"),
        Switch("status-once=500", lambda text: (status(text), 1), "the first reply has status 500", "status_times"),
        Switch("status-times=500:2", pair(status, count), "the first 2 replies have status 500"),
        Switch("status-from=500:10000", pair(status, count), "status 500 from skip=10000 on"),
        Switch("error-body=2", choice("1", "2", "3", "4", "5", "html", "empty"),
               "body of errors: 1 Partner Center, 2 Store analytics, 3 throttling gateway, 4 newer Partner API, "
               "5 Entra, html, empty"),
        Switch("mfa", flag, "401 with code 900421: multi-factor authentication is needed"),
        Switch("redirect=302", pair(status, text_value, "https://elsewhere.invalid/license"),
               "redirects to another host; redirect=302:URL to that one"),
        Switch("prefix=v1", choice("v1", "partner"), "only this path prefix exists, the other is 404: v1, partner"),
    ),
    "The envelope": (
        Switch("link=absolute", choice(*LINK_STYLES), f"form of the next link: {', '.join(LINK_STYLES)}"),
        Switch("link-key=nextLink", text_value, "the link's key, such as nextLink or @odata.nextLink"),
        Switch("value=null", choice("null", "missing", "object", "text"), "the rows: null, missing, object, text"),
        Switch("value-key=value", text_value, "the key of the list of rows"),
        Switch("total=missing", choice(*_TOTALS), f"TotalCount: {', '.join(_TOTALS)}"),
        Switch("total-key=totalCount", text_value, "the key of TotalCount"),
        Switch("cap=1000", count, "never more than 1000 rows in one reply; the link goes on from there"),
        Switch("over=5", count, "5 rows more than top asks for"),
        Switch("empty-page=10000", pair(count, lambda text: choice("once", "always")(text) == "once", "always"),
               "an empty reply with a link at skip=10000; empty-page=10000:once only the first time"),
    ),
    "Values of the rows": (
        Switch("counts=string", choice(*_COUNT_FORMS), f"licence counts: {', '.join(_COUNT_FORMS)}"),
        Switch("dates=z", choice(*_DATE_FORMS), f"processedDateTime: {', '.join(_DATE_FORMS)}"),
        Switch("nulls", flag, "one field of every row is null, another missing"),
        Switch("rows-junk=null", choice("null", "number", "list", "text", "all", default="all"),
               "the first rows are no objects: null, number, list, text, all"),
        Switch("extra-keys", flag, "keys that nobody has heard of, in rows and envelope"),
        Switch("groupdate", flag, "grouped rows have processedDateTime, too"),
        Switch("mixed-dates", flag, "crm rows are two days older than o365 rows"),
    ),
    "The bytes": (
        Switch("bom", flag, "the body begins with a byte order mark"),
        Switch("json=cut", choice(*_JSON), f"broken or odd JSON: {', '.join(_JSON)}"),
        Switch("garbage", flag, "the body is no JSON at all"),
        Switch("truncate", flag, "the connection closes after half the announced body"),
        Switch("big=100000000", count, "a body of 100 million bytes"),
        Switch("bomb", optional(count, 268_435_456), "a small gzip body that inflates to 256 MiB, or bomb=BYTES"),
        Switch("gzip", flag, "the body is compressed if Accept-Encoding has gzip"),
    ),
    "The headers": (
        Switch("content-type=text/html", text_value, "another Content-Type; none leaves it out"),
        Switch("ids=other", choice("other", "other-once", "none"),
               "echoed request ids: other ones (only in the first reply: other-once), none"),
        Switch("cookie", flag, "sets a cookie"),
        Switch("headers=2000", count, "2000 needless headers"),
    ),
}  # fmt: skip

_BY_NAME: Final = {switch.name: switch for group in SWITCHES.values() for switch in group}


def read_switch(name: str, value: str) -> dict[str, object]:
    """The field of Faults that a switch sets, and its value. Raises FaultError."""
    switch = _BY_NAME.get(name)
    if switch is None:
        raise FaultError(f"unknown fault {name!r}; known are {', '.join(sorted(_BY_NAME))}")
    try:
        return {switch.target: switch.parse(value)}
    except FaultError as error:
        raise FaultError(f"fault {name!r} {error}, as in {switch.example}") from None


def _help() -> str:
    lines = ["Tokens (Authorization: Bearer TOKEN):", ""]
    lines += [
        f"  {account.name:<24} {account.row_count:,} rows, processed at {account.latest.isoformat()}"
        for account in ACCOUNTS.values()
    ]
    lines += ["", "Faults are added with a plus sign: contoso+latency=2+throttle=30+bom+link=absolute", ""]
    for title, switches in SWITCHES.items():
        lines += [f"{title}:", *(f"  {switch.example:<24} {switch.help}" for switch in switches), ""]
    return "\n".join(lines)


FAULTS_HELP: Final = _help()
"""All tokens and fault switches, each with an example."""
