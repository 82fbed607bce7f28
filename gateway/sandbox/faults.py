"""The faults of a sandbox token as one value, and the parser of tokens.

A token is an account followed by faults: ``contoso+latency=2+bom``. Values are percent-decoded, so that
``content-type=application/problem%2Bjson`` can contain a plus sign.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import unquote

from gateway.sandbox.accounts import ACCOUNTS
from gateway.sandbox.fault_table import read_switch


@dataclass(frozen=True, slots=True)
class RowFaults:
    """Faults of the rows that an account has."""

    label: str = ""
    limit: int | None = None
    exact: bool = False
    unstable: bool = False
    reprocess_after: int | None = None
    reprocess_total: int | None = None
    empty_after: int | None = None


@dataclass(frozen=True, slots=True)
class TimeFaults:
    """Faults that delay a response or its body."""

    latency: float = 0.0
    slow_page: tuple[int, float] | None = None
    hang: bool = False
    hang_body: bool = False
    trickle: int | None = None


@dataclass(frozen=True, slots=True)
class RefusalFaults:
    """Faults that refuse a request, and the form of refusals."""

    throttle: float | None = None
    throttle_form: str = "seconds"
    status: int | None = None
    status_times: tuple[int, int] | None = None
    status_from: tuple[int, int] | None = None
    error_body: str | None = None
    mfa: bool = False
    redirect: tuple[int, str] | None = None
    prefix: str | None = None


@dataclass(frozen=True, slots=True)
class EnvelopeFaults:
    """Faults of the object around the rows, and of the size of pages."""

    link: str = "relative"
    link_key: str = "@nextLink"
    value: str | None = None
    value_key: str = "Value"
    total: str | None = None
    total_key: str = "TotalCount"
    cap: int | None = None
    over: int = 0
    empty_page: tuple[int, bool] | None = None


@dataclass(frozen=True, slots=True)
class ValueFaults:
    """Faults of the values inside rows."""

    counts: str | None = None
    dates: str | None = None
    nulls: bool = False
    rows_junk: str | None = None
    extra_keys: bool = False
    groupdate: bool = False
    mixed_dates: bool = False


@dataclass(frozen=True, slots=True)
class ByteFaults:
    """Faults of the encoded body."""

    bom: bool = False
    json: str | None = None
    garbage: bool = False
    truncate: bool = False
    big: int | None = None
    bomb: int | None = None
    gzip: bool = False


@dataclass(frozen=True, slots=True)
class HeaderFaults:
    """Faults of the response headers."""

    content_type: str | None = None
    ids: str | None = None
    cookie: bool = False
    extra: int = 0


@dataclass(frozen=True, slots=True)
class Faults:
    """All fault switches in groups; the defaults describe a healthy upstream. Fields are named after their switches."""

    rows: RowFaults = RowFaults()
    time: TimeFaults = TimeFaults()
    refusals: RefusalFaults = RefusalFaults()
    envelope: EnvelopeFaults = EnvelopeFaults()
    values: ValueFaults = ValueFaults()
    bytes: ByteFaults = ByteFaults()
    headers: HeaderFaults = HeaderFaults()

    def with_switch(self, name: str, value: str) -> Faults:
        """Return these faults with one more switch. Raises FaultError."""
        group, fields = read_switch(name, value)
        return replace(self, **{group: replace(getattr(self, group), **fields)})


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
    faults = Faults()
    for switch in switches:
        name, _, value = switch.partition("=")
        faults = faults.with_switch(name, unquote(value))
    return SandboxToken(text, account, faults)
