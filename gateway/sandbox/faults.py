"""The faults that a sandbox token may ask for, as one value, and how a token is read.

A token is an account followed by faults: ``contoso+latency=2+bom``. Percent-encoding in a value is undone, so that
``content-type=application/problem%2Bjson`` can hold a plus sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from gateway.sandbox.fault_table import read_switch
from gateway.sandbox.rows import ACCOUNTS


@dataclass(frozen=True, slots=True)
class Faults:
    """What a token asks for; the defaults are a healthy upstream. Field names are those of the switches."""

    # which rows
    label: str = ""
    rows: int | None = None
    exact: bool = False
    unstable: bool = False
    reprocess_after: int | None = None
    reprocess_total: int | None = None
    empty_after: int | None = None
    # time
    latency: float = 0.0
    slow_page: tuple[int, float] | None = None
    hang: bool = False
    hang_body: bool = False
    trickle: int | None = None
    # refusals
    throttle: float | None = None
    throttle_form: str = "seconds"
    status: int | None = None
    status_times: tuple[int, int] | None = None
    status_from: tuple[int, int] | None = None
    error_body: str | None = None
    mfa: bool = False
    redirect: tuple[int, str] | None = None
    prefix: str | None = None
    # the envelope
    link: str = "relative"
    link_key: str = "@nextLink"
    value: str | None = None
    value_key: str = "Value"
    total: str | None = None
    total_key: str = "TotalCount"
    cap: int | None = None
    over: int = 0
    empty_page: tuple[int, bool] | None = None
    # the rows' values
    counts: str | None = None
    dates: str | None = None
    nulls: bool = False
    rows_junk: str | None = None
    extra_keys: bool = False
    groupdate: bool = False
    mixed_dates: bool = False
    # the bytes
    bom: bool = False
    json: str | None = None
    garbage: bool = False
    truncate: bool = False
    big: int | None = None
    bomb: int | None = None
    gzip: bool = False
    # the headers
    content_type: str | None = None
    ids: str | None = None
    cookie: bool = False
    headers: int = 0


@dataclass(frozen=True, slots=True)
class SandboxToken:
    """A token that was understood: the account it opens and the faults it asks for."""

    text: str
    account: str
    faults: Faults


class UnknownAccountError(LookupError):
    """The token opens no account of the sandbox."""


def parse_token(text: str) -> SandboxToken:
    """Reads a token. Raises UnknownAccountError, or FaultError for a switch or value that the sandbox does not know."""
    account, *switches = text.split("+")
    if account not in ACCOUNTS:
        raise UnknownAccountError(account)
    asked: dict[str, object] = {}
    for switch in switches:
        name, _, value = switch.partition("=")
        asked.update(read_switch(name, unquote(value)))
    return SandboxToken(text, account, Faults(**asked))  # type: ignore[arg-type] # each parser gives its field's type
