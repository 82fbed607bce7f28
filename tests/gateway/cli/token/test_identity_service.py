"""The HTTP client between MSAL and the network passes on only complete, timely responses of bounded size."""

from __future__ import annotations

import pytest

from gateway.cli.token.identity import MAX_RESPONSE_BYTES, IdentityService
from gateway.cli.token.sign_in_endings import IdentityServiceFailed, IdentityServiceUnreachable
from tests.gateway.cli.token.identity import STALL, TRICKLE, Identity

# Long enough for a handshake on a loaded machine, short enough to wait for.
RESPONSE_SECONDS = 0.5


@pytest.fixture
def service(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> IdentityService:
    monkeypatch.setenv("SSL_CERT_FILE", str(identity.files.authority))
    monkeypatch.setenv("no_proxy", "*")
    return IdentityService(RESPONSE_SECONDS)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("trouble", [STALL, TRICKLE])
def test_an_endless_response_times_out(identity: Identity, service: IdentityService, trouble: str) -> None:
    """A byte now and then does not extend the time limit."""
    identity.tenant("slow.example", trouble)
    with pytest.raises(IdentityServiceUnreachable, match="does not respond"):
        service.post(f"{identity.origin}/slow.example/oauth2/v2.0/token", data={})


def test_a_response_over_the_size_limit_is_cut_off(identity: Identity, service: IdentityService) -> None:
    """The truncated body is no longer valid JSON."""
    space = b" " * MAX_RESPONSE_BYTES
    tenant = identity.tenant("large.example", space[4:] + b"{}", space + b"{}")
    url = f"{identity.origin}/large.example/oauth2/v2.0/token"
    assert service.post(url, data={}).text == "{}"
    with pytest.raises(IdentityServiceFailed, match="does not respond like an identity service"):
        service.post(url, data={})
    assert len(tenant.calls) == 2


def test_an_address_that_is_not_https_gets_no_request(service: IdentityService) -> None:
    """The device code, which is exchanged for a token, would be readable in transit."""
    with pytest.raises(IdentityServiceFailed, match="not https"):
        service.post("http://127.0.0.1:1/token", data={"device_code": "secret"})
