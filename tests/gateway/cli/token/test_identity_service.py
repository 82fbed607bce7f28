"""What stands between MSAL and the network: replies are whole, in time and of bounded size, or none."""

from __future__ import annotations

import pytest

from gateway.cli.token.identity import MAX_REPLY_BYTES, IdentityService
from gateway.cli.token.outcomes import NoAnswer, Unreachable
from tests.gateway.cli.token.identity import STALL, TRICKLE, Identity

# Long enough for a handshake on a loaded machine, short enough to wait for.
REPLY_SECONDS = 0.5


@pytest.fixture
def service(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> IdentityService:
    monkeypatch.setenv("SSL_CERT_FILE", str(identity.files.authority))
    monkeypatch.setenv("no_proxy", "*")
    return IdentityService(REPLY_SECONDS)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("trouble", [STALL, TRICKLE])
def test_a_reply_that_does_not_end_is_given_up(identity: Identity, service: IdentityService, trouble: str) -> None:
    """A byte now and then makes no difference."""
    identity.tenant("slow.example", trouble)
    with pytest.raises(Unreachable, match="does not answer"):
        service.post(f"{identity.origin}/slow.example/oauth2/v2.0/token", data={})


def test_a_reply_of_any_size_takes_no_more_memory_than_the_bound(identity: Identity, service: IdentityService) -> None:
    """What is cut off there is no JSON any more."""
    space = b" " * MAX_REPLY_BYTES
    tenant = identity.tenant("large.example", space[4:] + b"{}", space + b"{}")
    url = f"{identity.origin}/large.example/oauth2/v2.0/token"
    assert service.post(url, data={}).text == "{}"
    with pytest.raises(NoAnswer, match="does not answer as an identity service does"):
        service.post(url, data={})
    assert len(tenant.calls) == 2


def test_an_address_that_is_not_https_is_never_asked(service: IdentityService) -> None:
    """The code that becomes a token would be readable on the way."""
    with pytest.raises(NoAnswer, match="not https"):
        service.post("http://127.0.0.1:1/token", data={"device_code": "secret"})
