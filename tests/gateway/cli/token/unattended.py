"""The secure application model in one script, which docs/authentication.md shows and test_unattended.py runs."""

# README: begin
import os
import readline  # noqa: F401  # so that input() takes a long line
import subprocess
import sys
from urllib.parse import parse_qsl, urlsplit

import msal

SCOPES = ["https://api.partnercenter.microsoft.com/user_impersonation"]


def vault(action: str, name: str, *options: str, value: str | None = None) -> str:
    command = ["az", "keyvault", "secret", action, "--vault-name", os.environ["VAULT"], "--name", name, *options]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, input=value).stdout.strip()


def read(name: str) -> str:
    return vault("show", name, "--query", "value", "--output", "tsv")


app = msal.ConfidentialClientApplication(
    os.environ["AZURE_CLIENT_ID"],
    client_credential=read("partner-center-client-secret"),
    authority=f"https://login.microsoftonline.com/{os.environ['AZURE_TENANT_ID']}",
)
if "consent" in sys.argv:
    flow = app.initiate_auth_code_flow(SCOPES, redirect_uri="http://localhost")
    print("Sign in with MFA, then paste the address at which the browser ends:", flow["auth_uri"], file=sys.stderr)
    result = app.acquire_token_by_auth_code_flow(flow, dict(parse_qsl(urlsplit(input()).query)))
else:
    result = app.acquire_token_by_refresh_token(read("partner-center-refresh-token"), SCOPES)
if "access_token" not in result:
    sys.exit(result.get("error_description") or result["error"])
if "refresh_token" in result:  # the newest is the one that lasts
    newest = result["refresh_token"]
    vault("set", "partner-center-refresh-token", "--file", "/dev/stdin", "--encoding", "utf-8", value=newest)
if "consent" not in sys.argv:
    print(result["access_token"])
# README: end
