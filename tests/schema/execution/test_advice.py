"""Messages about input values say what to write instead."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Gateway, StartGateway

DIMENSIONS = "SERVICE_CODE, SERVICE_NAME, CHANNEL, CUSTOMER_TENANT_ID, CUSTOMER_NAME, PRODUCT_ID or PRODUCT_NAME."
TOO_LARGE = "is too large. Request at most 10000 rows per page; 'offset' is at most 2147483647."

# The arguments of a connection, with the advice for them.
WRONG = [
    ("groupBy", "[CUSTOMER]", ["CUSTOMER"], f"'LicenseDeploymentDimension' enum. Use {DIMENSIONS}"),
    ("groupBy", "[CUSTOMER_NAMES]", ["CUSTOMER_NAMES"], f"'LicenseDeploymentDimension' enum. Use {DIMENSIONS}"),
    ("groupBy", "[7]", [7], f"value: 7. Use {DIMENSIONS}"),
    (
        "orderBy",
        "[{field: CHANNEL, direction: DESCENDING}]",
        [{"field": "CHANNEL", "direction": "DESCENDING"}],
        "Value 'DESCENDING' does not exist in 'OrderDirection' enum. Use ASC or DESC.",
    ),
    (
        "orderBy",
        "[{field: RATE}]",
        [{"field": "RATE"}],
        "LICENSES_DEPLOYED, LICENSES_SOLD, LICENSES_UNASSIGNED, LICENSES_OVERDEPLOYED or DEPLOYMENT_RATE.",
    ),
    (
        "filter",
        '{customerName: {contains: "x"}}',
        {"customerName": {"contains": "x"}},
        "unknown field 'contains'. Use eq, ne, in or notIn. For parts of texts, use the argument 'search'.",
    ),
    (
        "filter",
        "{licensesSold: {gt: 5}}",
        {"licensesSold": {"gt": 5}},
        "unknown field 'licensesSold'. Put conditions on numbers into the argument 'having'.",
    ),
    (
        "having",
        '{customerName: {eq: "x"}}',
        {"customerName": {"eq": "x"}},
        "unknown field 'customerName'. Put conditions on texts into the argument 'filter'.",
    ),
    (
        "having",
        "{deploymentRate: {eq: 1}}",
        {"deploymentRate": {"eq": 1}},
        "unknown field 'eq'. Use gt, gte, lt or lte.",
    ),
    ("first", "9999999999", 9_999_999_999, f"9999999999 {TOO_LARGE}"),
    ("offset", "9999999999", 9_999_999_999, f"9999999999 {TOO_LARGE}"),
    ("last", "-9999999999", -9_999_999_999, "-9999999999 is negative. Give 0 or more."),
]
TYPES = {
    "groupBy": "[LicenseDeploymentDimension!]",
    "orderBy": "[LicenseDeploymentOrder!]",
    "filter": "LicenseDeploymentFilter",
    "having": "LicenseDeploymentHaving",
}


def message(gateway: Gateway, query: str, **variables: Any) -> str:
    """Return the message of the single error of ``query``."""
    [error] = gateway.ask(query, **variables)["errors"]
    return str(error["message"])


@pytest.mark.parametrize(("argument", "literal", "value", "advice"), WRONG)
def test_the_message_says_what_to_write(gateway: Gateway, argument: str, literal: str, value: Any, advice: str) -> None:
    """It does for literals and for variables."""
    assert message(gateway, f"{{ licenseDeployments({argument}: {literal}) {{ totalCount }} }}").endswith(advice)
    query = f"query ($v: {TYPES.get(argument, 'Int')}) {{ licenseDeployments({argument}: $v) {{ totalCount }} }}"
    assert message(gateway, query, v=value).endswith(advice)


def test_a_similar_name_in_quotes_keeps_its_suggestion(gateway: Gateway) -> None:
    query = '{ licenseDeployments(groupBy: ["CHANNEL"]) { totalCount } }'
    assert message(gateway, query).endswith("Did you mean the enum value 'CHANNEL'?")


@pytest.mark.parametrize("kind", ["mutation", "subscription"])
def test_other_operations_are_refused_with_the_reason(gateway: Gateway, kind: str) -> None:
    errors = gateway.ask(f"{kind} {{ __typename }}")["errors"]
    assert errors[0]["message"] == "The schema has only queries. Send a query."


def test_exports_give_the_same_advice(gateway: Gateway) -> None:
    response = gateway.client.get(
        "/export/licenseDeployments.csv?groupBy=CUSTOMER", headers={"Authorization": "Bearer contoso"}
    )
    assert response.json()["errors"][0]["message"].endswith(f"Use {DIMENSIONS}")


def test_with_introspection_off_no_name_is_revealed(start_gateway: StartGateway) -> None:
    gateway = start_gateway(introspection=False)
    for argument, literal, value, _ in WRONG:
        query = f"query ($v: {TYPES.get(argument, 'Int')}) {{ licenseDeployments({argument}: $v) {{ totalCount }} }}"
        for text in (
            message(gateway, f"{{ licenseDeployments({argument}: {literal}) {{ totalCount }} }}"),
            message(gateway, query, v=value),
        ):
            assert "Use" not in text
            assert "argument" not in text
