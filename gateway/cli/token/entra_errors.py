"""Errors of Entra, mapped to exit codes and advice.

Messages quote only codes and ids, never the service's text, because they are printed on a terminal. Microsoft may
change the numbers; for an unknown number, the OAuth error name decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.cli.token.sign_in_endings import (
    CodeExpired,
    PolicyRefused,
    SetupRequired,
    SignInDeclined,
    SignInEnded,
)

Meaning = tuple[type[SignInEnded], str]

# Numbers are from learn.microsoft.com/entra/identity-platform/reference-error-codes; names are from RFC 6749, 5.2,
# RFC 8628, 3.5, OpenID Connect Core, 3.1.2.6, and Microsoft's page about the device authorization grant.
_ENDS: tuple[tuple[type[SignInEnded], tuple[int | str, ...], str], ...] = (
    (
        CodeExpired,
        # If the code expires between two polls, the last response has one of the first two names.
        (70019, 70020, "authorization_pending", "slow_down", "expired_token", "bad_verification_code"),
        "Nobody signed in before the code expired. Run this again to get a new code.",
    ),
    (
        SignInDeclined,
        (65004, "access_denied", "authorization_declined"),
        "The sign-in was declined. Run this again and accept it.",
    ),
    (
        SetupRequired,
        (65001, 65002, 65005, 90094, 650057, "consent_required"),
        "The app has no consent to use Partner Center in this tenant. In the Entra admin center, under App"
        " registrations, API permissions, an administrator adds user_impersonation of Microsoft Partner Center and"
        " grants admin consent.",
    ),
    (
        SetupRequired,
        (7000218,),
        "The app registration does not allow device code. In the Entra admin center, under App registrations,"
        ' Authentication, set "Allow public client flows" to Yes.',
    ),
    (
        SetupRequired,
        (90002, 900023, "invalid_tenant"),
        "There is no such tenant. Check --tenant, and --authority if the tenant is in another cloud.",
    ),
    (
        SetupRequired,
        (700016, "unauthorized_client"),
        "The tenant has no app registration with this id. Check --client-id and --tenant.",
    ),
    (
        SetupRequired,
        (70011, 500011, 650052, "invalid_scope"),
        "The tenant does not know the requested scope. Omit --scope, or correct it.",
    ),
    (
        SetupRequired,
        (50020, 50034, 50105),
        "The user who signed in is not allowed to use this app here. Sign in as a user of the partner tenant, and have"
        " an administrator assign the user to the app if the app requires assignment.",
    ),
    (
        PolicyRefused,
        (50072, 50074, 50076, 50078, 50079, 50158, 53004),
        "Multi-factor authentication is required. Set it up at https://aka.ms/mfasetup, then run this again and use"
        " it.",
    ),
    (
        PolicyRefused,
        (50097, 53000, 53001, 53002, 53003, 530032, "interaction_required"),
        "Conditional access of the tenant blocks this sign-in: it does not allow device code, this device or this"
        " location. Ask an administrator, or sign in with Azure CLI on an allowed device.",
    ),
)

_MEANINGS = {code: (error_class, advice) for error_class, codes, advice in _ENDS for code in codes}

_NAME = re.compile(r"[a-z_]{1,40}")
_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def sign_in_error(document: Mapping[str, Any]) -> SignInEnded:
    """Return the exception for an error response of the identity service."""
    name = document.get("error")
    name = name if isinstance(name, str) and _NAME.fullmatch(name) else ""
    numbers = list(dict.fromkeys(_numbers(document)))
    known = [_MEANINGS[code] for code in (*numbers, name) if code in _MEANINGS]
    error_class, text = known[0] if known else _unknown(numbers)
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
    return SignInEnded, f"The identity service refused the sign-in.{link}"
