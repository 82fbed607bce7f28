"""All fault switches of a token, in groups.

Each field declares the switch that sets it: an example, the parser of its value, and its help.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Final

from gateway.sandbox.forms import (
    COUNT_FORMS,
    DATE_FORMS,
    JSON_FORMS,
    JUNK_ROWS,
    KEY_FORMS,
    RETRY_AFTER_FORMS,
    TOTAL_FORMS,
    VALUE_FORMS,
)
from gateway.sandbox.responses import SHAPES
from gateway.sandbox.sandbox_page import LINK_STYLES
from gateway.sandbox.switches import (
    FaultError,
    Switch,
    choice,
    count,
    flag,
    form,
    http_status,
    pair,
    seconds,
    switch,
    text_value,
)

# Of an unknown fault's name in the message (our choice; the longest known name is shorter).
MAX_SHOWN_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class RowFaults:
    """Faults of the rows that an account has."""

    label: str = switch(
        "as=alice", text_value, "a label without effect: makes another token with the same rows", default=""
    )
    limit: int | None = switch("rows=500", count, "the account has only its first 500 rows")
    exact: bool = flag("exact", "filter values are case-sensitive")
    unstable: bool = flag("unstable", "every response has another row order")
    reprocess_after: int | None = switch(
        "reprocess-after=3", count, "after 3 successful responses, all rows have a new date and other counts"
    )
    reprocess_total: int | None = switch(
        "reprocess-total=3", count, "the same, and some rows disappear, so TotalCount changes too"
    )
    recount_after: int | None = switch(
        "recount-after=3", count, "after 3 successful responses, the first row has another count, and the same date"
    )
    empty_after: int | None = switch(
        "empty-after=3", count, "after 3 successful responses, the account is empty (200, TotalCount 0)"
    )


@dataclass(frozen=True, slots=True)
class TimeFaults:
    """Faults that delay a response or its body."""

    latency: float = switch("latency=2", seconds, "delays every response by 2 seconds", default=0.0)
    slow_page: tuple[int, float] | None = switch(
        "slow-page=10000:5", pair(count, seconds), "delays the response for skip=10000 by 5 seconds"
    )
    hang: bool = flag("hang", "never responds")
    hang_body: bool = flag("hang-body", "sends headers, but never the body")
    trickle: int | None = switch(
        "trickle=100", count, "sends the body at 100 bytes a second; below 10, one byte at a time"
    )


@dataclass(frozen=True, slots=True)
class RefusalFaults:
    """Faults that refuse a request, and the form of refusals."""

    throttle: float | None = switch("throttle=30", seconds, "status 429 for 30 seconds from the first request on")
    throttle_form: str = form("throttle-form", "form of Retry-After", RETRY_AFTER_FORMS, "date", default="seconds")
    status: int | None = switch("status=503", http_status, "every response has status 503")
    status_times: tuple[int, int] | None = switch(
        "status-once=500",
        lambda text: (http_status(text), 1),
        "the first response has status 500",
        also=Switch("status-times=500:2", pair(http_status, count), "the first 2 responses have status 500"),
    )
    status_from: tuple[int, int] | None = switch(
        "status-from=500:10000", pair(http_status, count), "status 500 from skip=10000 on"
    )
    error_body: str | None = switch(
        "error-body=2",
        choice(*SHAPES),
        "error bodies: 1 Partner Center, 2 Store analytics, 3 throttling gateway, 4 newer Partner API, "
        "5 Entra, html, empty",
    )
    mfa: bool = flag("mfa", "status 401 with code 900421: multi-factor authentication required")
    redirect: tuple[int, str] | None = switch(
        "redirect=302",
        pair(http_status, text_value, "https://elsewhere.invalid/license"),
        "redirects to another host; redirect=302:URL redirects to that URL",
    )
    prefix: str | None = form("prefix", "the only path prefix, the other returns 404", ("v1", "partner"), "v1")


@dataclass(frozen=True, slots=True)
class EnvelopeFaults:
    """Faults of the object around the rows, and of the size of pages."""

    link: str = form("link", "form of the next link", LINK_STYLES, "absolute", default="relative")
    link_key: str = switch(
        "link-key=nextLink",
        text_value,
        "key of the next link, such as nextLink or @odata.nextLink",
        default="@nextLink",
    )
    value: str | None = form("value", "list of rows", VALUE_FORMS, "null")
    value_key: str = switch("value-key=value", text_value, "key of the list of rows", default="Value")
    total: str | None = form("total", "TotalCount", TOTAL_FORMS, "missing")
    total_key: str = switch("total-key=totalCount", text_value, "key of TotalCount", default="TotalCount")
    cap: int | None = switch("cap=1000", count, "at most 1000 rows per response; the link continues after them")
    over: int = switch("over=5", count, "5 rows more than top", default=0)
    empty_page: tuple[int, bool] | None = switch(
        "empty-page=10000",
        pair(count, lambda text: choice("once", "always")(text) == "once", "always"),
        "an empty page with a link at skip=10000; empty-page=10000:once only the first time",
    )


@dataclass(frozen=True, slots=True)
class ValueFaults:
    """Faults of the values inside rows."""

    counts: str | None = form("counts", "license counts", COUNT_FORMS, "string")
    dates: str | None = form("dates", "processedDateTime", DATE_FORMS, "z")
    sorted_dates: int | None = switch(
        "sorted-dates=10", count, "rows are sorted by processedDateTime: a day older after each 10 rows"
    )
    spelled_dates: int | None = switch(
        "spelled-dates=10", count, "the same processedDateTime in another spelling after each 10 rows"
    )
    keys: str | None = form("keys", "keys of rows", KEY_FORMS, "pascal")
    names: str | None = form(
        "names", "names of counts that the page's table and its example spell differently", ("table", "both"), "table"
    )
    nulls: bool = flag("nulls", "in every row, one field is null and another missing")
    rows_junk: str | None = switch(
        "rows-junk=null",
        choice(*JUNK_ROWS, default="all"),
        f"the first rows are not objects: {', '.join(JUNK_ROWS)}",
    )
    extra_keys: bool = flag("extra-keys", "unknown keys in rows and envelope")
    groupdate: bool = flag("groupdate", "grouped rows have processedDateTime too")
    mixed_dates: bool = flag("mixed-dates", "crm rows are two days older than o365 rows")


@dataclass(frozen=True, slots=True)
class ByteFaults:
    """Faults of the encoded body."""

    bom: bool = flag("bom", "the body starts with a byte order mark")
    json: str | None = form("json", "malformed or unusual JSON", JSON_FORMS, "cut")
    garbage: bool = flag("garbage", "the body is not JSON")
    truncate: bool = flag("truncate", "the connection closes after half of Content-Length")
    big: int | None = switch("big=100000000", count, "a body of 100 million bytes")
    bomb: int | None = switch(
        "bomb",
        lambda text: count(text) if text else 268_435_456,
        "a small gzip body that inflates to 256 MiB, or bomb=BYTES",
    )
    gzip: bool = flag("gzip", "compresses the body if Accept-Encoding has gzip")


@dataclass(frozen=True, slots=True)
class HeaderFaults:
    """Faults of the response headers."""

    content_type: str | None = switch("content-type=text/html", text_value, "another Content-Type; none removes it")
    ids: str | None = switch(
        "ids=other",
        choice("other", "other-once", "none"),
        "request ids: other (not echoed), other-once (only in the first response), none",
    )
    cookie: bool = flag("cookie", "sets a cookie")
    extra: int = switch("headers=2000", count, "2000 extra headers", default=0)


@dataclass(frozen=True, slots=True)
class Faults:
    """All fault switches in groups; the defaults describe a healthy upstream."""

    rows: RowFaults = field(default=RowFaults(), metadata={"title": "Which rows"})
    time: TimeFaults = field(default=TimeFaults(), metadata={"title": "Time"})
    refusals: RefusalFaults = field(default=RefusalFaults(), metadata={"title": "Refusals"})
    envelope: EnvelopeFaults = field(default=EnvelopeFaults(), metadata={"title": "The envelope"})
    values: ValueFaults = field(default=ValueFaults(), metadata={"title": "Values of the rows"})
    bytes: ByteFaults = field(default=ByteFaults(), metadata={"title": "The bytes"})
    headers: HeaderFaults = field(default=HeaderFaults(), metadata={"title": "The headers"})

    def without_envelope(self) -> Faults:
        """Return these faults without link and TotalCount, unless they have switches for the envelope."""
        if self.envelope != EnvelopeFaults():
            return self
        return replace(self, envelope=EnvelopeFaults(link="missing", total="missing"))

    def with_switch(self, name: str, value: str) -> Faults:
        """Return these faults with one more switch. Raises FaultError."""
        if name not in _BY_NAME:
            shown = name[:MAX_SHOWN_CHARACTERS]
            raise FaultError(f"unknown fault {shown!r}; known are {', '.join(sorted(_BY_NAME))}")
        group, target, switch = _BY_NAME[name]
        try:
            values = {target: switch.parse(value)}
        except FaultError as error:
            raise FaultError(f"fault {name!r} {error}, as in {switch.example}") from None
        return replace(self, **{group: replace(getattr(self, group), **values)})


_BY_NAME: Final = {
    switch.name: (group.name, target.name, switch)
    for group in fields(Faults)
    for target in fields(getattr(Faults(), group.name))
    for switch in target.metadata["switches"]
}


def switches_help() -> str:
    """Return the examples and the help of all switches, by group."""
    lines = []
    for group in fields(Faults):
        switches = [switch for name, _, switch in _BY_NAME.values() if name == group.name]
        lines += [f"{group.metadata['title']}:", *(f"  {switch.example:<24} {switch.help}" for switch in switches), ""]
    return "\n".join(lines)
