"""The rows of a sandbox account as Python values, to compare with responses."""

from __future__ import annotations

from gateway.sandbox.accounts import ACCOUNTS, SHRINK_PERCENT
from gateway.sandbox.dataset import SandboxDataset
from gateway.sandbox.datasets.license_deployment import LICENSE_DEPLOYMENT


def rows_of(
    account: str, weeks_back: int = 0, dataset: SandboxDataset = LICENSE_DEPLOYMENT
) -> list[dict[str, str | int | None]]:
    """Return an account's rows for one processed date, in upstream order and with upstream keys."""
    owner = ACCOUNTS[account]
    date = owner.processed_at(weeks_back).isoformat()
    return [
        {
            "processedDateTime": date,
            **dict(zip(dataset.fields, row.texts, strict=True)),
            **dict(zip(dataset.measures, (_count(measure, weeks_back) for measure in row.measures), strict=True)),
        }
        for row in dataset.generate(owner)
        if row.age_weeks >= weeks_back
    ]


def _count(latest: int, weeks_back: int) -> int:
    return latest * (100 - SHRINK_PERCENT * weeks_back) // 100
