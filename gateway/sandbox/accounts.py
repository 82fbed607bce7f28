"""The accounts of the sandbox, named by the first part of a token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

# Number of processed dates. Earlier dates lack the younger rows.
HISTORY_WEEKS: Final = 8
# Decrease of the counts, in percent per week back.
SHRINK_PERCENT: Final = 4

# The account with the rows of the Microsoft pages' examples.
SAMPLE: Final = "sample"


@dataclass(frozen=True, slots=True)
class Account:
    """One account: the number of its rows of sold licenses, their random seed, and their processed dates."""

    name: str
    row_count: int
    seed: int
    latest: datetime = datetime(2026, 11, 20)
    history_weeks: int = HISTORY_WEEKS

    def processed_at(self, weeks_back: int) -> datetime:
        """Return the processed date ``weeks_back`` weeks before the latest; -1 is the next processing."""
        return self.latest - timedelta(weeks=weeks_back)

    def weeks_back(self, processed: datetime, *, newest: int) -> int | None:
        """Return how many weeks a processed date lies behind the latest one, or None if the account lacks that date.

        ``newest`` is 0, or -1 after the next processing.
        """
        dates = {self.processed_at(weeks): weeks for weeks in range(newest, self.history_weeks)}
        return dates.get(processed)


ACCOUNTS: Final = {
    account.name: account
    for account in (
        Account("contoso", 12_000, seed=11),
        Account("fabrikam", 250_000, seed=22),
        Account("tailspin", 0, seed=33),
        # Source of date and rows: the examples on the Microsoft pages.
        Account(SAMPLE, 2, seed=0, latest=datetime(2018, 10, 14), history_weeks=1),
    )
}
