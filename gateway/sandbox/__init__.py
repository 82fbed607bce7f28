"""The sandbox: an imitation of Partner Center's licence deployment service, so that nobody needs credentials to start.

It shares no code with the gateway, so that what the two agree on means something.
"""

from gateway.sandbox.app import create_sandbox
from gateway.sandbox.calls import SandboxCall
from gateway.sandbox.fault_table import FAULTS_HELP
from gateway.sandbox.rows import ACCOUNTS

__all__ = ["ACCOUNTS", "FAULTS_HELP", "SandboxCall", "create_sandbox"]
