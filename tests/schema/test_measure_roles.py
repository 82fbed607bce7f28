"""The roles of measures in GraphiQL's bars."""

from dataclasses import replace

from gateway.dataset import Rate
from schema.datasets.license_deployment import LICENSE_DEPLOYMENTS
from schema.measure_roles import measure_roles


def test_roles_follow_from_the_derived_measures() -> None:
    assert measure_roles(LICENSE_DEPLOYMENTS) == {
        "sold": "licensesSold",
        "deployed": "licensesDeployed",
        "unassigned": "licensesUnassigned",
        "over": "licensesOverdeployed",
        "rate": "deploymentRate",
    }
    rate = Rate("share", dividend="licensesDeployed", divisor="licensesSold")
    only_a_rate = replace(LICENSE_DEPLOYMENTS, derived=(rate,))
    assert measure_roles(only_a_rate) == {"sold": "licensesSold", "deployed": "licensesDeployed", "rate": "share"}


def test_without_a_rate_there_are_no_roles() -> None:
    assert measure_roles(replace(LICENSE_DEPLOYMENTS, derived=())) == {}
