"""The faults of a sandbox token as one value, and the parser of tokens.

A token is an account followed by faults: ``contoso+latency=2+bom``. Values are percent-decoded, so that
``content-type=application/problem%2Bjson`` can contain a plus sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from gateway.sandbox.accounts import ACCOUNTS
from gateway.sandbox.fault_table import read_switch


@dataclass(frozen=True, slots=True)
class Faults:
    """All fault switches; the defaults describe a healthy upstream. Fields are named after their switches."""

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
    """A parsed token: the account and its faults."""

    text: str
    account: str
    faults: Faults


class UnknownAccountError(LookupError):
    """The token names no account of the sandbox."""


def parse_token(text: str) -> SandboxToken:
    """Parse a token. Raises UnknownAccountError, or FaultError for an unknown switch or an invalid value."""
    account, *switches = text.split("+")
    if account not in ACCOUNTS:
        raise UnknownAccountError(account)
    fields: dict[str, object] = {}
    for switch in switches:
        name, _, value = switch.partition("=")
        fields.update(read_switch(name, unquote(value)))
    return SandboxToken(text, account, Faults(**fields))  # type: ignore[arg-type] # each parser returns its field's type
