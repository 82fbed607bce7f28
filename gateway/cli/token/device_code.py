"""OAuth's device authorization grant (RFC 8628) by MSAL: a user signs in with a browser, wherever that is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import msal
import msgspec

from gateway.cli.token.identity import IdentityService
from gateway.cli.token.outcomes import NoAnswer, SignInEnded, Unreachable
from gateway.cli.token.refusals import refusal
from gateway.page import AccessToken

# RFC 8628, 3.5: what cannot be reached is asked less and less often. This bounds how seldom.
MAX_PAUSE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Registration:
    """Who asks, where and for what. ``authority`` is an origin."""

    client_id: str
    tenant: str
    authority: str
    scopes: tuple[str, ...]


class Instructions(msgspec.Struct):
    """What the user must know, printable on any terminal (RFC 8628, 3.2)."""

    user_code: Annotated[str, msgspec.Meta(pattern=r"\A[ -~]{1,64}\Z")]
    verification_uri: Annotated[str, msgspec.Meta(pattern=r"\Ahttps?://[!-~]{1,200}\Z")]
    expires_in: Annotated[int, msgspec.Meta(ge=1)]

    @property
    def text(self) -> str:
        """One sentence that says what to do."""
        minutes = max(1, self.expires_in // 60)
        return (
            f"Within {minutes} minute{'s' if minutes > 1 else ''} open {self.verification_uri} in a browser, enter the"
            f" code {self.user_code}, and sign in with multi-factor authentication."
        )


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A token, and when it ends as far as anybody says so, in seconds since 1970."""

    token: AccessToken
    expires_at: float | None


def sign_in(
    registration: Registration, tell: Callable[[Instructions], None], sleep: Callable[[float], None] = time.sleep
) -> SignedIn:
    """Wait until a user has signed in as ``tell`` was told. Raises SignInEnded."""
    with _understood():
        app = msal.PublicClientApplication(
            registration.client_id,
            authority=f"{registration.authority}/{registration.tenant}",
            # Whether Microsoft knows the authority is of no interest: whoever runs this has named it.
            instance_discovery=False,
            http_client=IdentityService(),
            # No refresh token is wanted, for nothing is kept.
            exclude_scopes=["offline_access", "profile"],
        )
        flow = app.initiate_device_flow(list(registration.scopes))
        if "error" in flow:
            raise refusal(flow)
        tell(msgspec.convert(flow, Instructions))
        flow["interval"] = max(1, flow["interval"])
        return _signed_in(_wait(app, flow, sleep))


def _wait(app: Any, flow: dict[str, Any], sleep: Callable[[float], None]) -> dict[str, Any]:
    """The last answer: a token, or an error other than that there is none yet."""
    while True:
        try:
            answer: dict[str, Any] = app.acquire_token_by_device_flow(flow)
        except Unreachable:
            flow["interval"] = min(2 * flow["interval"], MAX_PAUSE_SECONDS)
            if time.time() + flow["interval"] >= flow["expires_at"]:
                raise
            sleep(flow["interval"])
        else:
            return answer


def _signed_in(answer: dict[str, Any]) -> SignedIn:
    if "error" in answer:
        raise refusal(answer)
    token = AccessToken(answer["access_token"])
    seconds = answer.get("expires_in")
    return SignedIn(token, token.expires_at or (time.time() + int(seconds) if seconds else None))


@contextmanager
def _understood() -> Iterator[None]:
    """MSAL stumbles over junk in any way there is: over a number where it expects text, over a key that is missing."""
    try:
        yield
    except SignInEnded:
        raise
    except Exception as error:
        raise NoAnswer(
            f"What the identity service answers cannot be read ({type(error).__name__}). Check --authority."
        ) from None
