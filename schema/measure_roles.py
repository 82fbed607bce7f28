"""The roles of measures in GraphiQL's bars, as its page receives them."""

from __future__ import annotations

from gateway.dataset import Dataset


def measure_roles(dataset: Dataset) -> dict[str, str]:
    """Return the measures by role: "deployed" is the part and "sold" the whole of the "rate".

    "unassigned" is what the part lacks, and "over" what it exceeds the whole by. Without a rate there are no roles.
    """
    roles: dict[str, str] = {}
    for rate in dataset.rates[:1]:
        roles = {"sold": rate.divisor, "deployed": rate.dividend, "rate": rate.name}
        for excess in dataset.excesses:
            roles["unassigned" if excess.larger == rate.divisor else "over"] = excess.name
    return roles
