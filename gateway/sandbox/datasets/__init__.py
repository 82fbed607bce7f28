"""The datasets of the sandbox, one module each."""

from __future__ import annotations

from typing import Final

from gateway.sandbox.dataset import SandboxDataset
from gateway.sandbox.datasets.license_deployment import LICENSE_DEPLOYMENT
from gateway.sandbox.datasets.license_usage import LICENSE_USAGE

DATASETS: Final[tuple[SandboxDataset, ...]] = (LICENSE_DEPLOYMENT, LICENSE_USAGE)
