"""`gateway token`, run as a separate process against an imitation of the identity service."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli.token.token_command import SCOPE
from gateway.cli.token.token_command import token as command
from tests.gateway.cli.token.identity import (
    CANARY,
    CLIENT_ID,
    CORRELATION_ID,
    CUT,
    PAGE,
    PENDING,
    SLOW_DOWN,
    USER_CODE,
    Identity,
    Tenant,
    access_token,
    configuration,
    device_code,
    error,
    good,
    proxy,
)
from tests.gateway.running import END_SECONDS, Running, environment, kill

TENANT = "contoso.example"
OPAQUE = f"{CANARY}.opaque"


@dataclass(frozen=True, slots=True)
class CompletedRun:
    """Exit code and output of a completed run."""

    status: int
    out: str
    err: str

    @property
    def error_line(self) -> str:
        """The only error line; checks that the output has no token, foreign text or traceback."""
        assert self.out == ""
        assert "Traceback" not in self.err
        assert CANARY not in self.err
        assert "\x1b" not in self.err
        [line] = [line for line in self.err.splitlines() if line.startswith("Error: ")]
        assert self.err.endswith(f"{line}\n")
        return line


Run = Callable[..., CompletedRun]


def variables(identity: Identity, folder: Path) -> dict[str, str]:
    """Return an environment that trusts the imitation, with empty home and temporary folders."""
    for name in ("home", "temporary"):
        (folder / name).mkdir(exist_ok=True)
    return {
        "SSL_CERT_FILE": str(identity.files.authority),
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "temporary"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TZ": "UTC",
    }


@pytest.fixture
def run(identity: Identity, tmp_path: Path) -> Run:
    """Run the command for ``TENANT``, with further options last so that they win; it must leave no file behind."""

    def start(*arguments: str, **more: str) -> CompletedRun:
        usual = ["--client-id", CLIENT_ID, "--tenant", TENANT, "--authority", identity.origin]
        return bare(*usual, *arguments, **more)

    def bare(*arguments: str, **more: str) -> CompletedRun:
        working = tmp_path / "working"
        working.mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "token", *arguments],
            env=environment(**{**variables(identity, tmp_path), **more}),
            cwd=working, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
        return CompletedRun(done.returncode, done.stdout, done.stderr)

    start.bare = bare  # type: ignore[attr-defined]  # the same without the usual options
    return start


def inside(identity: Identity) -> CompletedRun:
    """Run the command in this process, which is ten times faster; used for the many error cases."""
    options = ["--client-id", CLIENT_ID, "--tenant", TENANT, "--authority", identity.origin]
    surroundings = {"SSL_CERT_FILE": str(identity.files.authority), "no_proxy": "*"}
    done = CliRunner().invoke(command, options, env=surroundings)
    assert isinstance(done.exception, SystemExit), done.exception
    return CompletedRun(done.exit_code, done.stdout, done.stderr)


def checked_stderr(ended: CompletedRun) -> str:
    """Return standard error of a successful run, after checking that it reveals nothing of the token."""
    assert (ended.status, "Traceback" in ended.err) == (0, False), ended.err
    token = ended.out.removesuffix("\n")
    assert CANARY not in ended.err
    assert [segment for segment in token.split(".") if segment in ended.err] == []
    return ended.err


# Signing in


def test_stdout_gets_only_the_token_and_stderr_the_instructions(identity: Identity, run: Run) -> None:
    token = access_token(exp=int(datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC).timestamp()))
    tenant = identity.tenant(TENANT, good(token))
    ended = run()
    assert ended.out == f"{token}\n"
    assert checked_stderr(ended) == (
        f"Within 15 minutes open {PAGE} in a browser, enter the code {USER_CODE}, and sign in with multi-factor"
        " authentication. Press Ctrl-C to cancel.\n"
        "Signed in. The token is valid until 2031-02-03 04:05:06 UTC.\n"
    )
    [code_request], [token_request] = tenant.calls_of("devicecode"), tenant.calls_of("token")
    assert code_request.form["client_id"] == token_request.form["client_id"] == CLIENT_ID
    assert set(code_request.form["scope"].split()) == {"openid", SCOPE}
    assert token_request.form["grant_type"] == "urn:ietf:params:oauth:grant-type:device_code"
    assert token_request.form["device_code"] == f"{CANARY}-device-code"


def test_polling_waits_for_the_user_and_slows_down_on_request(identity: Identity, run: Run) -> None:
    """RFC 8628, 3.5: after slow_down the interval grows by five seconds. It is never below one second."""
    tenant = identity.tenant(TENANT, PENDING, SLOW_DOWN, good(), devicecode=device_code(interval=0))
    assert checked_stderr(run())
    times = [call.at_seconds for call in tenant.calls_of("token")]
    gaps_seconds = [after - before for before, after in pairwise(times)]
    assert len(gaps_seconds) == 2
    assert gaps_seconds[0] >= 1
    assert gaps_seconds[1] >= 6


@pytest.mark.parametrize("trouble", [(503, b"no"), CUT], ids=["unavailable", "cut"])
def test_temporary_errors_while_polling_are_retried(identity: Identity, run: Run, trouble: Any) -> None:
    """The user at the browser need not start again."""
    identity.tenant(TENANT, trouble, good(OPAQUE))
    ended = run()
    assert checked_stderr(ended)
    assert ended.out == f"{OPAQUE}\n"


def test_an_error_that_outlasts_the_code_is_reported(identity: Identity, run: Run) -> None:
    identity.tenant(TENANT, (503, b"no"), devicecode=device_code(expires_in=2))
    ended = run()
    assert (ended.status, ended.error_line.endswith("(status 503). Try again later.")) == (7, True)


def test_an_opaque_token_is_valid_for_as_long_as_the_service_says(identity: Identity, run: Run) -> None:
    identity.tenant(TENANT, good(OPAQUE, expires_in=3_600))
    before = datetime.now(UTC)
    ended = run()
    [text] = re.findall(r"^Signed in\. The token is valid until (.+) UTC\.$", checked_stderr(ended), re.MULTILINE)
    left = datetime.fromisoformat(f"{text}+00:00") - before
    assert 3_599 <= left.total_seconds() <= 3_660


def test_a_token_with_an_unusable_expiry_is_still_printed(identity: Identity, run: Run) -> None:
    identity.tenant(TENANT, good(access_token(exp=1e300)))
    assert "expiry of the token is unknown" in checked_stderr(run())


def test_ctrl_c_cancels_without_a_message(identity: Identity, tmp_path: Path) -> None:
    identity.tenant(TENANT, PENDING)
    arguments = ("token", "--client-id", CLIENT_ID, "--tenant", TENANT, "--authority", identity.origin)
    running = Running(arguments, variables(identity, tmp_path))
    try:
        running.read_until("to cancel")
        status, said, took_seconds = running.end(signal.SIGINT)
    finally:
        kill(running.process)
    assert (status, said.count("\n")) == (130, 1), said
    assert took_seconds < END_SECONDS


# Authorities


def test_defaults_come_from_the_environment_variables_of_the_azure_sdks(identity: Identity, run: Any) -> None:
    """Like them, it accepts an authority without a scheme."""
    identity.tenant(TENANT)
    host = identity.origin.removeprefix("https://")
    ended = run.bare(AZURE_CLIENT_ID=CLIENT_ID, AZURE_TENANT_ID=TENANT, AZURE_AUTHORITY_HOST=host)
    assert checked_stderr(ended)


@pytest.mark.parametrize(
    ("options", "host"),
    [
        ((), "login.microsoftonline.com"),
        (("--authority", "https://login.chinacloudapi.cn/"), "login.chinacloudapi.cn"),
    ],
)
def test_microsofts_clouds_are_reached_by_their_host_names(
    identity: Identity, run: Any, options: tuple[str, ...], host: str
) -> None:
    """Through a proxy that records the requested hosts."""
    identity.tenant(TENANT)
    with proxy(identity) as (address, hosts):
        ended = run.bare("--client-id", CLIENT_ID, "--tenant", TENANT, *options, HTTPS_PROXY=address)
    assert checked_stderr(ended)
    assert set(hosts) == {f"{host}:443"}


def test_another_scope_can_be_requested(identity: Identity, run: Run) -> None:
    tenant = identity.tenant(TENANT)
    scope = "https://partner.partnercenterapi.microsoftonline.cn/user_impersonation"
    assert checked_stderr(run("--scope", scope))
    assert scope in tenant.calls_of("devicecode")[0].form["scope"].split()


def test_a_certificate_authority_that_azure_cli_trusts_is_trusted(identity: Identity, run: Run) -> None:
    identity.tenant(TENANT)
    trust = {"SSL_CERT_FILE": "", "REQUESTS_CA_BUNDLE": str(identity.files.authority)}
    assert checked_stderr(run(**trust))


def test_a_token_that_partner_center_will_refuse_is_printed_with_warnings(identity: Identity, run: Run) -> None:
    token = access_token(aud="https://graph.windows.net", idtyp="app", amr=["pwd"])
    identity.tenant(TENANT, good(token))
    ended = run()
    lines = checked_stderr(ended).splitlines()
    warnings = [line for line in lines if line.startswith("Warning: Partner Center will refuse ")]
    assert (ended.out, len(warnings)) == (f"{token}\n", 3)


# Refusals


@pytest.mark.parametrize(
    ("answer", "status", "word"),
    [
        (error("expired_token", 70020), 3, "Run this again"),
        (error("expired_token"), 3, "Run this again"),
        (error("bad_verification_code", 70019), 3, "Run this again"),
        (error("authorization_declined"), 4, "declined"),
        (error("access_denied", 65004), 4, "declined"),
        (error("invalid_grant", 65001), 5, "admin consent"),
        (error("consent_required"), 5, "admin consent"),
        (error("invalid_client", 7000218), 5, "Allow public client flows"),
        (error("unauthorized_client", 700016), 5, "--client-id"),
        (error("invalid_grant", 50105), 5, "assign"),
        (error("invalid_grant", 50076), 6, "aka.ms/mfasetup"),
        (error("interaction_required", 50079), 6, "aka.ms/mfasetup"),
        (error("interaction_required", 53003), 6, "Conditional access"),
        (error("interaction_required"), 6, "Conditional access"),
        (error("invalid_request", 7777777), 1, "https://login.microsoftonline.com/error?code=7777777"),
        ((400, {"error": CANARY.upper() + "\x1b["}), 1, "an error without a name"),
    ],
    ids=str,
)
def test_a_refusal_says_what_to_do(
    identity: Identity, answer: tuple[int, dict[str, Any]], status: int, word: str
) -> None:
    """In both requests. Messages quote the ids that Microsoft's support needs."""
    for place in ({"devicecode": answer}, {"token": [answer]}):
        identity.tenants[TENANT] = Tenant(**place)
        ended = inside(identity)
        assert word in ended.error_line
        assert ended.status == status
        for number in answer[1].get("error_codes", []):
            assert f"AADSTS{number}" in ended.error_line
        assert ("correlation_id" in answer[1]) == (CORRELATION_ID in ended.error_line)


def test_a_refusal_ends_the_command(identity: Identity, run: Run) -> None:
    """Like the cases above, in a separate process."""
    identity.tenant(TENANT, PENDING, error("invalid_client", 7000218))
    ended = run()
    assert (ended.status, "Allow public client flows" in ended.error_line) == (5, True)


def test_an_expired_code_is_reported_even_if_the_service_does_not_report_it(identity: Identity, run: Run) -> None:
    identity.tenant(TENANT, PENDING, devicecode=device_code(expires_in=1))
    ended = run()
    assert (ended.status, "Nobody signed in" in ended.error_line) == (3, True)


def test_an_unknown_tenant_is_reported(run: Run) -> None:
    ended = run("--tenant", "nowhere.example")
    assert (ended.status, "--tenant" in ended.error_line, "AADSTS90002" in ended.error_line) == (5, True, True)


# Malformed responses and network errors


@pytest.mark.parametrize(
    "answers",
    [
        {"configuration": b"<html>" + CANARY.encode()},
        {"configuration": [CANARY]},
        {"configuration": {}},
        {"configuration": configuration("https://127.0.0.1", TENANT, token_endpoint=7)},
        {"configuration": configuration("https://[", TENANT)},
        {"configuration": configuration("http://127.0.0.1", TENANT)},
        {"configuration": configuration("https://\x1b[31m", TENANT)},
        {"configuration": configuration("https://127.0.0.1", TENANT, device_authorization_endpoint=None)},
        {"configuration": (302, {"Location": CANARY})},
        {"devicecode": b""},
        {"devicecode": {}},
        {"devicecode": b"{" * 100_000},
        {"devicecode": device_code(user_code=f"\x1b[31m{CANARY}")},
        {"devicecode": device_code(user_code=7)},
        {"devicecode": device_code(verification_uri=f"data:{CANARY}")},
        {"devicecode": device_code(device_code=7, expires_in=CANARY)},
        {"devicecode": device_code(expires_in=-1)},
        {"token": [b"access_token=" + CANARY.encode()]},
        {"token": [[CANARY]]},
        {"token": [{}]},
        {"token": [good(access_token=7)]},
        {"token": [good(f"{CANARY}\n{CANARY}")]},
        {"token": [good(f"{CANARY}\x1b")]},
        {"token": [good(CANARY * 2_000)]},
        {"token": [good(expires_in=CANARY)]},
        {"token": [good(id_token=CANARY)]},
        {"token": [good(id_token=7)]},
        {"token": [(400, {"error": [CANARY]})]},
        {"token": [(302, error("access_denied")[1])]},
        {"token": [b"x" * 2_000_000]},
    ],
    ids=lambda answers: str(answers)[:60],
)
def test_malformed_responses_give_a_one_line_error(identity: Identity, answers: dict[str, Any]) -> None:
    """MSAL itself would end with a traceback, or print the response."""
    identity.tenants[TENANT] = Tenant(**answers)
    ended = inside(identity)
    assert ended.error_line
    assert ended.status == 7


def test_a_malformed_response_ends_the_command(identity: Identity, run: Run) -> None:
    """Like the cases above, in a separate process."""
    identity.tenant(TENANT, b"access_token=" + CANARY.encode())
    ended = run()
    assert (ended.status, "does not respond like an identity service" in ended.error_line) == (7, True)


def test_an_unreachable_service_is_reported(run: Run) -> None:
    ended = run("--authority", "https://127.0.0.1:1")
    assert (ended.status, "Cannot reach 127.0.0.1:1: connection refused." in ended.error_line) == (7, True)


def test_an_unavailable_service_is_reported(identity: Identity, run: Run) -> None:
    identity.tenant(TENANT, configuration=(503, b"down"))
    ended = run()
    assert (ended.status, "not available (status 503)" in ended.error_line) == (7, True)


def test_an_untrusted_certificate_is_reported(run: Run) -> None:
    ended = run(SSL_CERT_FILE="")
    assert (ended.status, "SSL_CERT_FILE" in ended.error_line) == (7, True)


def test_a_certificate_for_another_name_is_not_trusted(identity: Identity, run: Run) -> None:
    ended = run("--authority", identity.origin.replace("127.0.0.1", "localhost"))
    assert (ended.status, "certificate is for another host" in ended.error_line) == (7, True)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_missing_certificate_bundle_is_reported(run: Run, name: str) -> None:
    ended = run(**{name: "/nowhere/authority.pem"})
    assert (ended.status, ended.out) == (2, "")
    assert f"\n{name}: cannot read /nowhere/authority.pem: no such file or directory\n" in ended.err


# Usage


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ["--client-id or AZURE_CLIENT_ID", "--tenant or AZURE_TENANT_ID"]),
        (("--tenant", TENANT), ["--client-id or AZURE_CLIENT_ID"]),
        (("--client-id", CLIENT_ID), ["--tenant or AZURE_TENANT_ID"]),
        (("--client-id", "my app", "--tenant", TENANT), ["'--client-id'", "UUID"]),
        (("--client-id", CLIENT_ID, "--tenant", "../x"), ["--tenant must be"]),
        (("--client-id", CLIENT_ID, "--tenant", TENANT, "--authority", "http://127.0.0.1"), ["--authority must be"]),
        (("--client-id", CLIENT_ID, "--tenant", TENANT, "--authority", "https://a.example/x"), ["--authority must be"]),
        (("--client-id", CLIENT_ID, "--tenant", TENANT, "--scope", ""), ["--scope must be"]),
        (("--client-id", CLIENT_ID, "--tenant", TENANT, "--scope", "openid"), ["--scope must be"]),
    ],
    ids=str,
)
def test_all_usage_errors_are_reported_at_once(run: Any, arguments: tuple[str, ...], words: list[str]) -> None:
    ended = run.bare(*arguments)
    assert ended.status == 2
    assert all(word in ended.error_line for word in words)


def without_msal(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as if msal were not installed."""
    program = (
        f"import sys\nsys.modules['msal'] = None\nsys.argv = ['gateway', *{arguments!r}]\n"
        "from gateway.__main__ import main\nmain()"
    )
    call = [sys.executable, "-c", program]
    return subprocess.run(call, env=environment(), capture_output=True, text=True, timeout=60, check=False)


def test_without_the_extra_the_error_says_how_to_install_it() -> None:
    done = without_msal("token")
    assert (done.returncode, done.stdout) == (1, "")
    from_index = "pip install 'partner-center-graphql[token]'"
    in_clone = ".venv/bin/pip install -c requirements.lock '.[token]'"
    assert done.stderr == f"Error: Signing in needs the extra 'token'. Run: {from_index}, or in a clone: {in_clone}\n"


def test_without_the_extra_the_other_commands_work() -> None:
    assert without_msal("schema").returncode == 0
    assert "gateway token" in without_msal("token", "--help").stdout


@pytest.mark.parametrize("is_full", [True, False], ids=["full", "closed"])
def test_a_token_that_cannot_be_written_is_a_failure(identity: Identity, tmp_path: Path, is_full: bool) -> None:
    """A full disk is reported; a closed pipe needs no message."""
    identity.tenant(TENANT)
    shell = 'exec "$@" >/dev/full' if is_full else '{ "$@"; echo "ended with $?" >&2; } | true'
    call = [sys.executable, "-m", "gateway", "token", "--client-id", CLIENT_ID, "--tenant", TENANT]
    done = subprocess.run(
        ["bash", "-c", shell, "bash", *call, "--authority", identity.origin],
        env=environment(**variables(identity, tmp_path)),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.endswith("Error: Cannot write: no space left on device.\n" if is_full else "ended with 1\n")
