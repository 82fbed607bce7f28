"""The dataset of sold and deployed licenses.

Source: the Microsoft page "Get licenses deployment information".
"""

import strawberry

from gateway.query import Derived
from schema.dimensions import (
    dimension_enum,
    filter_input,
    identifier_dimension,
    measure,
    name_dimension,
    processed_date,
    text_dimension,
)
from schema.field import connection_field, dataset
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
    processed_date_time: DateTime | None = processed_date(example="2018-10-14T00:00:00")


LicenseDeploymentDimension = dimension_enum("LicenseDeploymentDimension", LicenseDeployment)
LicenseDeploymentFilter = filter_input("LicenseDeploymentFilter", LicenseDeployment)

LICENSE_DEPLOYMENTS = dataset(
    LicenseDeployment,
    name="licenseDeployments",
    path="analytics/commercial/deployment/license",
    service="serviceCode",
    derived=Derived(
        sold="licensesSold",
        deployed="licensesDeployed",
        unassigned="licensesUnassigned",
        overdeployed="licensesOverdeployed",
        rate="deploymentRate",
    ),
)

FIELD = connection_field(
    LICENSE_DEPLOYMENTS,
    LicenseDeployment,
    LicenseDeploymentDimension,
    LicenseDeploymentFilter,
    description="Sold and deployed licenses of the partner's customers. Needs a bearer token.",
)
