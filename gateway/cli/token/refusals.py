"""What the identity service's errors mean.

Only its codes and ids are told, never its text: this is printed on a terminal. Microsoft may change the numbers; where
one is not known, OAuth's own name of the error decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.cli.token.outcomes import CodeExpired, Declined, Failed, NotSetUp, PolicyRefused, SignInEnded

Meaning = tuple[type[SignInEnded], str]

_CODE_EXPIRED: Meaning = CodeExpired, "Nobody signed in before the code expired. Run this again for a new one."

_DECLINED: Meaning = Declined, "The sign-in was declined. Run this again and accept it."

_CONSENT: Meaning = (
    NotSetUp,
    "The app has no consent to use Partner Center in this tenant. In the Entra admin center, under App registrations,"
    " API permissions, an administrator adds user_impersonation of Microsoft Partner Center and grants admin consent.",
)
_PUBLIC_CLIENT: Meaning = (
    NotSetUp,
    "The app registration does not allow device code. In the Entra admin center, under App registrations,"
    ' Authentication, set "Allow public client flows" to Yes.',
)
_TENANT: Meaning = NotSetUp, "There is no such tenant. Check --tenant, and --authority where it is in another cloud."
_APP: Meaning = NotSetUp, "The tenant has no app registration with this id. Check --client-id and --tenant."
_SCOPE: Meaning = NotSetUp, "The tenant does not know what is asked for. Check --scope, and leave it out if you can."
_USER: Meaning = (
    NotSetUp,
    "The user who signed in is not allowed to use this app here. Sign in as a user of the partner tenant, and have an"
    " administrator assign that user to the app where it demands so.",
)
_MFA: Meaning = (
    PolicyRefused,
    "Multi-factor authentication is missing. Set it up at https://aka.ms/mfasetup, run this again and sign in with it.",
)
_CONDITIONAL_ACCESS: Meaning = (
    PolicyRefused,
    "Conditional access of the tenant blocks this sign-in: device code, this device or this place is not allowed. Ask"
    " an administrator, or sign in with Azure CLI on a device that is.",
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
    # Both are the last word where the code's time ran out between two questions.
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


def refusal(document: Mapping[str, Any]) -> SignInEnded:
    """The end that an error of the identity service means."""
    name = document.get("error")
    name = name if isinstance(name, str) and _NAME.fullmatch(name) else ""
    numbers = list(dict.fromkeys(_numbers(document)))
    known = [_BY_NUMBER[number] for number in numbers if number in _BY_NUMBER]
    kind, text = next(iter([*known, *filter(None, [_BY_NAME.get(name)])]), _unknown(numbers))
    facts = [f"AADSTS{number}" for number in numbers[:3]] or [name or "an error without a name"]
    correlation = document.get("correlation_id")
    if isinstance(correlation, str) and _ID.fullmatch(correlation):
        facts.append(f"correlation id {correlation}")
    return kind(f"{text} ({', '.join(facts)})")


def _numbers(document: Mapping[str, Any]) -> Iterable[int]:
    codes = document.get("error_codes")
    for code in codes if isinstance(codes, list) else ():
        if isinstance(code, int) and 0 < code < 10**8:
            yield code
    description = document.get("error_description")
    if isinstance(description, str):
        yield from map(int, re.findall(r"\bAADSTS([1-9][0-9]{3,7})\b", description[:2_000], re.ASCII))


def _unknown(numbers: list[int]) -> Meaning:
    told = f" https://login.microsoftonline.com/error?code={numbers[0]} says why." if numbers else ""
    return Failed, f"The identity service refused.{told}"
