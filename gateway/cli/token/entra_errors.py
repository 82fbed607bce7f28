"""Errors of Entra, mapped to exit codes and advice.

Messages quote only codes and ids, never the service's text, because they are printed on a terminal. Microsoft may
change the numbers; for an unknown number, the OAuth error name decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.cli.token.exit_codes import (
    CodeExpired,
    PolicyRefused,
    SetupRequired,
    SignInDeclined,
    SignInEnded,
    SignInFailed,
)

Meaning = tuple[type[SignInEnded], str]

_CODE_EXPIRED: Meaning = CodeExpired, "Nobody signed in before the code expired. Run this again to get a new code."

_DECLINED: Meaning = SignInDeclined, "The sign-in was declined. Run this again and accept it."

_CONSENT: Meaning = (
    SetupRequired,
    "The app has no consent to use Partner Center in this tenant. In the Entra admin center, under App registrations,"
    " API permissions, an administrator adds user_impersonation of Microsoft Partner Center and grants admin consent.",
)
_PUBLIC_CLIENT: Meaning = (
    SetupRequired,
    "The app registration does not allow device code. In the Entra admin center, under App registrations,"
    ' Authentication, set "Allow public client flows" to Yes.',
)
_TENANT: Meaning = (
    SetupRequired,
    "There is no such tenant. Check --tenant, and --authority if the tenant is in another cloud.",
)
_APP: Meaning = SetupRequired, "The tenant has no app registration with this id. Check --client-id and --tenant."
_SCOPE: Meaning = SetupRequired, "The tenant does not know the requested scope. Omit --scope, or correct it."
_USER: Meaning = (
    SetupRequired,
    "The user who signed in is not allowed to use this app here. Sign in as a user of the partner tenant, and have an"
    " administrator assign the user to the app if the app requires assignment.",
)
_MFA: Meaning = (
    PolicyRefused,
    "Multi-factor authentication is required. Set it up at https://aka.ms/mfasetup, then run this again and use it.",
)
_CONDITIONAL_ACCESS: Meaning = (
    PolicyRefused,
    "Conditional access of the tenant blocks this sign-in: it does not allow device code, this device or this location."
    " Ask an administrator, or sign in with Azure CLI on an allowed device.",
)

# learn.microsoft.com/entra/identity-platform/reference-error-codes
_BY_NUMBER: Mapping[int, Meaning] = {
    50020: _USER,
    50034: _USER,
    50072: _MFA,
    50074: _MFA,
    50076: _MFA,
    50078: _MFA,
    50079: _MFA,
    50097: _CONDITIONAL_ACCESS,
    50105: _USER,
    50158: _MFA,
    53000: _CONDITIONAL_ACCESS,
    53001: _CONDITIONAL_ACCESS,
    53002: _CONDITIONAL_ACCESS,
    53003: _CONDITIONAL_ACCESS,
    53004: _MFA,
    65001: _CONSENT,
    65002: _CONSENT,
    65004: _DECLINED,
    65005: _CONSENT,
    70011: _SCOPE,
    70019: _CODE_EXPIRED,
    70020: _CODE_EXPIRED,
    90002: _TENANT,
    90094: _CONSENT,
    500011: _SCOPE,
    530032: _CONDITIONAL_ACCESS,
    650052: _SCOPE,
    650057: _CONSENT,
    700016: _APP,
    900023: _TENANT,
    7000218: _PUBLIC_CLIENT,
}

# RFC 6749, 5.2; RFC 8628, 3.5; OpenID Connect Core, 3.1.2.6; Microsoft's device authorization grant page.
_BY_NAME: Mapping[str, Meaning] = {
    "access_denied": _DECLINED,
    "authorization_declined": _DECLINED,
    # The last response is one of these two if the code expires between two polls.
    "authorization_pending": _CODE_EXPIRED,
    "slow_down": _CODE_EXPIRED,
    "expired_token": _CODE_EXPIRED,
    "bad_verification_code": _CODE_EXPIRED,
    "consent_required": _CONSENT,
    "interaction_required": _CONDITIONAL_ACCESS,
    "invalid_scope": _SCOPE,
    "invalid_tenant": _TENANT,
    "unauthorized_client": _APP,
}

_NAME = re.compile(r"[a-z_]{1,40}")
_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def sign_in_error(document: Mapping[str, Any]) -> SignInEnded:
    """Return the exception for an error response of the identity service."""
    name = document.get("error")
    name = name if isinstance(name, str) and _NAME.fullmatch(name) else ""
    numbers = list(dict.fromkeys(_numbers(document)))
    known = [_BY_NUMBER[number] for number in numbers if number in _BY_NUMBER]
    error_class, text = next(iter([*known, *filter(None, [_BY_NAME.get(name)])]), _unknown(numbers))
    facts = [f"AADSTS{number}" for number in numbers[:3]] or [name or "an error without a name"]
    correlation = document.get("correlation_id")
    if isinstance(correlation, str) and _ID.fullmatch(correlation):
        facts.append(f"correlation id {correlation}")
    return error_class(f"{text} ({', '.join(facts)})")


def _numbers(document: Mapping[str, Any]) -> Iterable[int]:
    codes = document.get("error_codes")
    for code in codes if isinstance(codes, list) else ():
        if isinstance(code, int) and 0 < code < 10**8:
            yield code
    description = document.get("error_description")
    if isinstance(description, str):
        yield from map(int, re.findall(r"\bAADSTS([1-9][0-9]{3,7})\b", description[:2_000], re.ASCII))


def _unknown(numbers: list[int]) -> Meaning:
    link = f" See https://login.microsoftonline.com/error?code={numbers[0]}" if numbers else ""
    return SignInFailed, f"The identity service refused the sign-in.{link}"
