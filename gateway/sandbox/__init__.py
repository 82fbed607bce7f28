"""The sandbox: an imitation of Partner Center's license deployment service that needs no credentials.

It shares no code with the gateway, so agreement between the two is evidence that both are right.
"""

from gateway.sandbox.accounts import ACCOUNTS
from gateway.sandbox.app import create_sandbox
from gateway.sandbox.call_log import SandboxCall
from gateway.sandbox.tokens import FAULTS_HELP

__all__ = ["ACCOUNTS", "FAULTS_HELP", "SandboxCall", "create_sandbox"]
