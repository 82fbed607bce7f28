"""Read the settings from environment variables, files of secrets and the command line, and report all problems."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from gateway.config.injected_names import injected_names
from gateway.config.library_variables import switch_faults
from gateway.config.origin import is_loopback
from gateway.config.remedies import remedy
from gateway.config.secret_files import SUFFIX, from_files
from gateway.config.settings import PREFIX, Settings, variable
from gateway.config.upstream_proxy import upstream_proxy
from gateway.config.whitespace import trimmed
from gateway.network.trust import trust_faults

# Fields that the command line can override, with their options.
OPTIONS = {"host": "--host", "port": "--port", "upstream_url": "--upstream", "workers": "--workers"}

# Fields that may hold a password, which ``<variable>_FILE`` reads from a file.
SECRETS = ("upstream_proxy", "cache_url")

# Secrets in a URL: the user info, also of a proxy without a scheme, and a query parameter of Redis clients.
_SECRET = re.compile(r"(?<=://)\S+(?=@)|^[^\s/]+(?=@)|(?<=[?&]password=)[^&\s]+")


class SettingsError(Exception):
    """The settings are invalid; the message lists every problem, one per line."""


def read_settings(environment: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read settings from ``environment`` and command-line ``overrides`` by field name. Raises SettingsError."""
    ignored = set(injected_names(environment))
    known = {variable(field): field for field in Settings.model_fields}
    variables = {
        name: trimmed(value) for name, value in environment.items() if name.startswith(PREFIX) and name not in ignored
    }
    variables, file_faults = from_files(variables, map(variable, SECRETS))
    faults = [*switch_faults(environment), *trust_faults(environment), *file_faults]
    faults += [f"{name}: no such setting{_nearest(name, known)}" for name in sorted(variables.keys() - known.keys())]
    values: dict[str, Any] = {known[name]: value for name, value in variables.items() if name in known}
    overridden = {name: trimmed(value) for name, value in (overrides or {}).items() if value is not None}
    labels = {name: f"{OPTIONS[name]} ({variable(name)})" for name in overridden.keys() & OPTIONS.keys()}
    values.update(overridden)
    try:
        settings = Settings(**values)
        upstream_proxy(settings.upstream_proxy, settings.upstream_url, environment)
    except ValidationError as error:
        faults += [_fault(detail, labels, values) for detail in error.errors(include_url=False, include_input=False)]
    except ValueError as error:
        faults.append(str(error))
    if "upstream_url" not in values and not is_loopback(values.get("host", "127.0.0.1")):
        host = labels.get("host", "GATEWAY_HOST")
        faults.append(f"GATEWAY_UPSTREAM_URL: not set, and {host} is not loopback; set it to `sandbox` or a URL")
    if faults:
        raise SettingsError("\n".join(faults))
    return settings


def _fault(detail: Any, labels: Mapping[str, str], values: Mapping[str, Any]) -> str:
    field = str(detail["loc"][0])
    own = detail["msg"].removeprefix("Value error, ") if detail["type"] == "value_error" else None
    lines = (own or remedy(Settings.model_fields[field])).splitlines()
    has_space = len(lines) == 1 and " " in str(values.get(field, "")).replace(", ", ",")
    end = "; it contains a space" if has_space else ""
    return "\n".join(f"{labels.get(field, variable(field))}: {line}{end}" for line in lines)


def masked(text: str) -> str:
    """Return ``text`` with the secrets of URLs masked."""
    return _SECRET.sub("***", text)


def _nearest(name: str, known: Mapping[str, str]) -> str:
    import difflib

    # Compared without the prefix, which would make any two names similar.
    close = difflib.get_close_matches(name.removeprefix(PREFIX).lower(), known.values(), n=1)
    return f"; did you mean {variable(close[0])}?" if close else ""


def sources(environment: Mapping[str, str], overrides: Mapping[str, Any]) -> dict[str, str]:
    """Return each field's source: ``default``, ``environment``, ``file`` or ``command line``."""
    ignored = set(injected_names(environment))
    origins = dict.fromkeys(Settings.model_fields, "default")
    origins |= {
        field: "environment" for field in origins if variable(field) in environment and variable(field) not in ignored
    }
    origins |= {field: "file" for field in SECRETS if variable(field) + SUFFIX in environment}
    return origins | {field: "command line" for field, value in overrides.items() if value is not None}
