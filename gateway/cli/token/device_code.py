"""OAuth's device authorization grant (RFC 8628) through MSAL: the user signs in with any browser on any device."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import msal
import msgspec

from gateway.access_token import AccessToken
from gateway.cli.token.entra_errors import sign_in_error
from gateway.cli.token.identity import IdentityService
from gateway.cli.token.sign_in_endings import IdentityServiceFailed, IdentityServiceUnreachable, SignInEnded

# RFC 8628, 3.5: after a connection timeout, the polling interval doubles. Upper bound of the interval.
MAX_PAUSE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Registration:
    """The app registration, its tenant and the requested scopes. ``authority`` is an origin."""

    client_id: str
    tenant: str
    authority: str
    scopes: tuple[str, ...]


class Instructions(msgspec.Struct):
    """Sign-in instructions, checked to be printable on any terminal (RFC 8628, 3.2)."""

    user_code: Annotated[str, msgspec.Meta(pattern=r"\A[ -~]{1,64}\Z")]
    verification_uri: Annotated[str, msgspec.Meta(pattern=r"\Ahttps?://[!-~]{1,200}\Z")]
    expires_in: Annotated[int, msgspec.Meta(ge=1)]

    @property
    def text(self) -> str:
        minutes = max(1, self.expires_in // 60)
        return (
            f"Within {minutes} minute{'s' if minutes > 1 else ''} open {self.verification_uri} in a browser, enter the"
            f" code {self.user_code}, and sign in with multi-factor authentication."
        )


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A token and its expiry in seconds since 1970, None if unknown."""

    token: AccessToken
    expires_at: float | None


def sign_in(
    registration: Registration, show: Callable[[Instructions], None], sleep: Callable[[float], None] = time.sleep
) -> SignedIn:
    """Pass the instructions to ``show``, then wait until the user has signed in. Raises SignInEnded."""
    with _msal_errors_mapped():
        app = msal.PublicClientApplication(
            registration.client_id,
            authority=f"{registration.authority}/{registration.tenant}",
            # Skip the check that Microsoft knows the authority: the user of this command chose it.
            instance_discovery=False,
            http_client=IdentityService(),
            # The command stores nothing, so it does not request a refresh token.
            exclude_scopes=["offline_access", "profile"],
        )
        flow = app.initiate_device_flow(list(registration.scopes))
        if "error" in flow:
            raise sign_in_error(flow)
        show(msgspec.convert(flow, Instructions))
        flow["interval"] = max(1, flow["interval"])
        return _signed_in(_wait(app, flow, time.monotonic() + flow["expires_in"], sleep))


def _wait(app: Any, flow: dict[str, Any], expires_at: float, sleep: Callable[[float], None]) -> dict[str, Any]:
    """Poll until there is a token or a final error, and return that response.

    ``expires_at``, by the monotonic clock, is when the user's code expires.
    """
    while True:
        try:
            response: dict[str, Any] = app.acquire_token_by_device_flow(flow)
        except IdentityServiceUnreachable:
            flow["interval"] = min(2 * flow["interval"], MAX_PAUSE_SECONDS)
            if time.monotonic() + flow["interval"] >= expires_at:
                raise
            sleep(flow["interval"])
        else:
            return response


def _signed_in(response: dict[str, Any]) -> SignedIn:
    if "error" in response:
        raise sign_in_error(response)
    token = AccessToken(response["access_token"])
    seconds = response.get("expires_in")
    return SignedIn(token, token.expires_at or (time.time() + int(seconds) if seconds else None))


@contextmanager
def _msal_errors_mapped() -> Iterator[None]:
    """Map MSAL's errors about malformed responses, which may be of any type, such as TypeError or KeyError."""
    try:
        yield
    except SignInEnded:
        raise
    except Exception as error:
        raise IdentityServiceFailed(
            f"The identity service's response cannot be read ({type(error).__name__}). Check --authority."
        ) from None
