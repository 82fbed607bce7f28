"""Environment variables that Python and the gateway's libraries read, and how the gateway handles each.

Some would silently break a promise of the gateway. The gateway does not start if one of these is set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

# Of these, other programs read lower-case names, too, which win.
_ALSO_IN_LOWER_CASE = frozenset({"HTTPS_PROXY", "NO_PROXY"})

# The default of sys.int_info, which bounds the quadratic time of reading a number.
_MAX_DIGITS = 4_300


class Handling(StrEnum):
    """The gateway's handling of a variable."""

    REFUSED = "refused"
    IGNORED = "ignored"
    HARMLESS = "harmless"
    USED = "used"


@dataclass(frozen=True, slots=True)
class LibraryVariable:
    """Variables of one library with one effect. ``is_active`` is false for values without that effect."""

    names: tuple[str, ...]
    library: str
    handling: Handling
    effect: str
    remedy: str = ""
    is_active: Callable[[str], bool] = bool
    # True if secrets leave the process. Then commands without settings refuse the variable, too.
    reveals_secrets: bool = False


def _is_fixed_seed(value: str) -> bool:
    return value not in ("", "random")


def _lifts_limit(value: str) -> bool:
    return value.strip().isdecimal() and not 0 < int(value) <= _MAX_DIGITS


LIBRARY_VARIABLES: tuple[LibraryVariable, ...] = (
    LibraryVariable(
        ("AIOCACHE_DISABLE",),
        "aiocache",
        Handling.REFUSED,
        "`1` turns the cache off, including its memory bound and Redis.",
        "To cache nothing, set GATEWAY_CACHE_FRESH_SECONDS=0 and GATEWAY_CACHE_STALE_SECONDS=0",
        lambda value: value == "1",
    ),
    LibraryVariable(
        ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"),
        "prometheus_client",
        Handling.REFUSED,
        "Metrics are kept in files that nobody deletes.",
        "Without it, any worker's /metrics covers all workers",
        # The library looks only for the name.
        lambda value: True,
    ),
    LibraryVariable(
        ("SSLKEYLOGFILE",),
        "Python's ssl",
        Handling.REFUSED,
        "The keys of all TLS connections are written to a file, and with them tokens become readable.",
        "To inspect connections, use the sandbox or your own proxy",
        reveals_secrets=True,
    ),
    LibraryVariable(
        ("PYTHONHASHSEED",),
        "Python",
        Handling.REFUSED,
        "A number lets callers choose names that make lookups slow.",
        "`random` is the default",
        _is_fixed_seed,
    ),
    LibraryVariable(
        ("PYTHONINTMAXSTRDIGITS",),
        "Python",
        Handling.REFUSED,
        f"`0`, or more than {_MAX_DIGITS:,}, lets one long number of a caller keep the process busy.",
        f"The default is {_MAX_DIGITS}",
        _lifts_limit,
    ),
    LibraryVariable(
        ("PYTHON_ZSTANDARD_IMPORT_POLICY",),
        "zstandard",
        Handling.REFUSED,
        "Everything but `default` and `cext` selects an implementation whose bounds are not tested.",
        "`default` is the default",
        lambda value: value.strip() not in ("default", "cext"),
    ),
    LibraryVariable(
        ("PYDANTIC_SETTINGS_DEBUG",),
        "pydantic-settings",
        Handling.REFUSED,
        "Settings are logged with their passwords.",
        "`gateway settings` prints them without",
        lambda value: value.strip().lower() in ("1", "true", "yes", "on"),
        reveals_secrets=True,
    ),
    LibraryVariable(
        ("WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS"),
        "uvicorn",
        Handling.IGNORED,
        "`GATEWAY_WORKERS` sets the number of processes, and `GATEWAY_TRUSTED_PROXIES` the trusted proxies.",
    ),
    LibraryVariable(
        ("HTTPS_PROXY", "NO_PROXY"),
        "httpx, requests",
        Handling.USED,
        "The proxy of every https connection, and the hosts, domains and networks that are reached without it."
        " `GATEWAY_UPSTREAM_PROXY` comes first for the upstream.",
    ),
    LibraryVariable(
        ("HTTP_PROXY", "ALL_PROXY", "NETRC"),
        "httpx",
        Handling.IGNORED,
        "Plain http goes past the proxy, which would see the token. Stored credentials are ignored."
        " OpenTelemetry's exporters use them.",
    ),
    LibraryVariable(
        ("PYTHONOPTIMIZE",), "Python", Handling.IGNORED, "Neither help texts nor checks depend on what it removes."
    ),
    LibraryVariable(
        ("PROMETHEUS_DISABLE_CREATED_SERIES", "PROMETHEUS_LEGACY_NAME_VALIDATION"),
        "prometheus_client",
        Handling.HARMLESS,
        "`/metrics` has no `_created` series, and all names are valid by either rule.",
    ),
    LibraryVariable(
        ("STRAWBERRY_DISABLE_RICH_ERRORS",),
        "Strawberry",
        Handling.HARMLESS,
        "Changes the tracebacks of faults in a schema.",
    ),
    LibraryVariable(
        ("PYDANTIC_DISABLE_PLUGINS", "PYDANTIC_PRIVATE_ALLOW_UNHANDLED_SCHEMA_TYPES"),
        "pydantic",
        Handling.HARMLESS,
        "The gateway uses neither pydantic's plug-ins nor its JSON schemas.",
    ),
    LibraryVariable(
        ("NO_COLOR", "FORCE_COLOR"), "structlog", Handling.HARMLESS, "Sets the colors of log lines on a terminal."
    ),
    LibraryVariable(
        ("PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PYTHONTRACEMALLOC", "PYTHONMALLOC"),
        "Python",
        Handling.HARMLESS,
        "Debugging: slower, and with more memory than promised.",
    ),
    LibraryVariable(
        ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
        "OpenSSL, requests",
        Handling.USED,
        "Certificate authorities that every connection accepts, beside the operating system's.",
    ),
    LibraryVariable(
        ("OPENSSL_CONF",), "OpenSSL", Handling.USED, "The system's rules for TLS, such as the oldest version allowed."
    ),
)


def used_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables in ``environment`` that have an effect on connections, by the names that count."""
    names = [name for variable in LIBRARY_VARIABLES if variable.handling is Handling.USED for name in variable.names]
    spelled = [name.lower() if name in _ALSO_IN_LOWER_CASE and name.lower() in environment else name for name in names]
    return {name: environment[name] for name in spelled if environment.get(name)}


def switch_faults(environment: Mapping[str, str], *, only_secrets: bool = False) -> Iterator[str]:
    """Yield one message for each refused variable in ``environment``, or for those that reveal secrets."""
    for variable in LIBRARY_VARIABLES:
        if variable.handling is not Handling.REFUSED or (only_secrets and not variable.reveals_secrets):
            continue
        for name in variable.names:
            if name in environment and variable.is_active(environment[name]):
                yield f"{name}: unset it. {variable.effect} {variable.remedy}"
