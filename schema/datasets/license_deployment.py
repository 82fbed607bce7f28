"""The dataset of sold and deployed licenses.

Source: the Microsoft page "Get licenses deployment information".
"""

import strawberry

from gateway.dataset import Excess, Rate
from schema.dimensions import (
    dimension_enum,
    filter_input,
    identifier_dimension,
    name_dimension,
    processed_date,
    text_dimension,
)
from schema.field import Inputs, connection_field
from schema.measures import derived_measure, having_input, measure, order_field_enum, order_input, totals_type
from schema.rows import dataset
from schema.scalars import DateTime, Long


@strawberry.type(
    description="Licenses sold to one customer of one product, and how many of them are deployed. With `groupBy`, sums"
    " over the groups: dimensions that were not asked for are null. `licensesDeployed` may exceed `licensesSold`."
)
class LicenseDeployment:
    """A row."""

    service_code: str | None = text_dimension("Service code", example="o365")
    service_name: str | None = text_dimension("Service name", example="Microsoft Office 365")
    channel: str | None = text_dimension("Channel name", example="reseller")
    customer_tenant_id: str | None = identifier_dimension("customer", example="0112A436-B14E-4888-967B-CA4BB2CF1234")
    customer_name: str | None = name_dimension("customer", example="TEST COMPANY")
    product_id: str | None = identifier_dimension("product", example="54B84594-9C77-4499-8D65-5E0D5F410E78")
    product_name: str | None = name_dimension("product", example="DYNAMICS AX TASK")
    licenses_deployed: Long | None = measure("Number of licenses deployed", example=0)
    licenses_sold: Long | None = measure("Number of licenses sold", example=9)
    licenses_unassigned: Long | None = derived_measure(
        "Number of licenses sold and not deployed",
        "the sum over rows of max(0, sold - deployed). With `groupBy`, selecting it or its total, ordering by it or a"
        " condition on it makes the gateway read all rows and group them itself, because over-deployed products would"
        " hide unused licenses.",
        example=9,
        needs_rows=True,
    )
    licenses_overdeployed: Long | None = derived_measure(
        "Number of licenses deployed beyond what was sold",
        "the sum over rows of max(0, deployed - sold). With `groupBy` it is read as `licensesUnassigned` is.",
        example=0,
        needs_rows=True,
    )
    deployment_rate: float | None = derived_measure(
        "Deployed licenses per license sold, as a fraction",
        "40 % is 0.4. It may exceed 1; null when none was sold, or when a number is unknown.",
        example=0.75,
    )
    processed_date_time: DateTime | None = processed_date(example="2018-10-14T00:00:00")


LicenseDeploymentDimension = dimension_enum("LicenseDeploymentDimension", LicenseDeployment)
LicenseDeploymentFilter = filter_input("LicenseDeploymentFilter", LicenseDeployment)
LicenseDeploymentHaving = having_input("LicenseDeploymentHaving", LicenseDeployment)
LicenseDeploymentOrderField = order_field_enum("LicenseDeploymentOrderField", LicenseDeployment)
LicenseDeploymentOrder = order_input("LicenseDeploymentOrder", LicenseDeploymentOrderField)
LicenseDeploymentTotals = totals_type("LicenseDeploymentTotals", LicenseDeployment)

LICENSE_DEPLOYMENTS = dataset(
    LicenseDeployment,
    name="licenseDeployments",
    path="analytics/commercial/deployment/license",
    service="serviceCode",
    derived=(
        Excess("licensesUnassigned", larger="licensesSold", smaller="licensesDeployed"),
        Excess("licensesOverdeployed", larger="licensesDeployed", smaller="licensesSold"),
        Rate("deploymentRate", dividend="licensesDeployed", divisor="licensesSold"),
    ),
)

FIELD = connection_field(
    LICENSE_DEPLOYMENTS,
    LicenseDeployment,
    LicenseDeploymentTotals,
    Inputs(LicenseDeploymentDimension, LicenseDeploymentFilter, LicenseDeploymentHaving, LicenseDeploymentOrder),
    description="Sold and deployed licenses of the partner's customers. Needs a bearer token.",
)
