"""Errors for fields that were selected one level too high."""

from __future__ import annotations

import pytest

from tests.conftest import Gateway, StartGateway


def message(gateway: Gateway, query: str) -> str:
    """Return the message of the single error of ``query``."""
    [error] = gateway.post(query).json()["errors"]
    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    return str(error["message"])


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        (
            "{ licenseDeployments { productName } }",
            "Cannot query field 'productName' on type 'LicenseDeploymentConnection'. "
            "It belongs one level deeper: write 'nodes { productName }'.",
        ),
        (
            "{ licenseDeployments { edges { productName } } }",
            "Cannot query field 'productName' on type 'LicenseDeploymentEdge'. "
            "It belongs one level deeper: write 'node { productName }'.",
        ),
        (
            "{ licenseDeployments { endCursor } }",
            "Cannot query field 'endCursor' on type 'LicenseDeploymentConnection'. "
            "It belongs one level deeper: write 'pageInfo { endCursor }'.",
        ),
        (
            "{ nodes { productName } }",
            "Cannot query field 'nodes' on type 'Query'. "
            "It belongs one level deeper: write 'licenseDeployments { nodes { … } }' or "
            "'licenseUsages { nodes { … } }'.",
        ),
    ],
)
def test_the_error_for_a_field_one_level_too_high_shows_its_place(gateway: Gateway, query: str, hint: str) -> None:
    assert message(gateway, query) == hint


def test_other_unknown_fields_have_the_standard_error(gateway: Gateway) -> None:
    """This holds for names that are similar to a field of the type, and for names that are not."""
    assert message(gateway, "{ licenseDeployments { totlCount } }").endswith("Did you mean 'totalCount'?")
    assert message(gateway, "{ licenseDeployments { nodes { totalCount } } }").endswith("'LicenseDeployment'.")
    assert message(gateway, "{ licenseDeployments { nothingLikeIt } }").endswith("'LicenseDeploymentConnection'.")


def test_with_introspection_off_there_are_no_hints(gateway: Gateway, start_gateway: StartGateway) -> None:
    """Long documents have no hints either, because comparing names takes long."""
    query = "{ licenseDeployments { productName } }"
    bare = "Cannot query field 'productName' on type 'LicenseDeploymentConnection'."
    assert message(start_gateway(introspection=False), query) == bare
    assert message(gateway, "#" * 20_000 + "\n" + query) == bare
