"""How many of the sold licenses are deployed: everything about this dataset.

Source: the Microsoft page "Get licenses deployment information".
"""

from enum import Enum

import strawberry
from strawberry import UNSET

from schema.field import connection_field, dataset
from schema.filters import StringFilter
from schema.scalars import DateTime, Long


@strawberry.type(
    description="Licenses sold to one customer of one product, and how many of them are deployed. With `groupBy`, sums"
    " over the groups: dimensions that were not asked for are null. `licensesDeployed` may exceed `licensesSold`."
)
class LicenseDeployment:
    """A row."""

    service_code: str | None = strawberry.field(description="Service code. Example: `o365`.")
    service_name: str | None = strawberry.field(description="Service name. Example: `Microsoft Office 365`.")
    channel: str | None = strawberry.field(description="Channel name. Example: `reseller`.")
    customer_tenant_id: str | None = strawberry.field(
        description="Unique identifier of the customer. Example: `0112A436-B14E-4888-967B-CA4BB2CF1234`."
    )
    customer_name: str | None = strawberry.field(description="Customer name; not unique. Example: `TEST COMPANY`.")
    product_id: str | None = strawberry.field(
        description="Unique identifier of the product. Example: `54B84594-9C77-4499-8D65-5E0D5F410E78`."
    )
    product_name: str | None = strawberry.field(description="Product name; not unique. Example: `DYNAMICS AX TASK`.")
    licenses_deployed: Long | None = strawberry.field(description="Number of licenses deployed. Example: `0`.")
    licenses_sold: Long | None = strawberry.field(description="Number of licenses sold. Example: `9`.")
    processed_date_time: DateTime | None = strawberry.field(
        description="Date when the data was last processed; it has no zone. Example: `2018-10-14T00:00:00`."
    )


@strawberry.enum(description="A text field that counts can be added up over.")
class LicenseDeploymentDimension(Enum):
    """What ``groupBy`` takes; the values are the upstream's names."""

    SERVICE_CODE = strawberry.enum_value("serviceCode", description="Service code, such as `o365`.")
    SERVICE_NAME = strawberry.enum_value("serviceName", description="Service name, such as `Microsoft Office 365`.")
    CHANNEL = strawberry.enum_value("channel", description="Channel name, such as `reseller`.")
    CUSTOMER_TENANT_ID = strawberry.enum_value("customerTenantId", description="Unique identifier of the customer.")
    CUSTOMER_NAME = strawberry.enum_value(
        "customerName", description="Customer name; different customers may share it."
    )
    PRODUCT_ID = strawberry.enum_value("productId", description="Unique identifier of the product.")
    PRODUCT_NAME = strawberry.enum_value("productName", description="Product name; different products may share it.")


@strawberry.input(description="Which rows count. Fields of one object are joined by AND; `{}` matches every row.")
class LicenseDeploymentFilter:
    """A filter."""

    and_: list["LicenseDeploymentFilter"] | None = strawberry.field(
        name="and", default=UNSET, description="Every one of these holds; with none, every row matches."
    )
    or_: list["LicenseDeploymentFilter"] | None = strawberry.field(
        name="or", default=UNSET, description="At least one of these holds; with none, no row matches."
    )
    not_: "LicenseDeploymentFilter | None" = strawberry.field(
        name="not", default=UNSET, description="This does not hold."
    )
    service_code: StringFilter | None = strawberry.field(default=UNSET, description="Condition on the service code.")
    service_name: StringFilter | None = strawberry.field(default=UNSET, description="Condition on the service name.")
    channel: StringFilter | None = strawberry.field(default=UNSET, description="Condition on the channel name.")
    customer_tenant_id: StringFilter | None = strawberry.field(
        default=UNSET, description="Condition on the customer's unique identifier."
    )
    customer_name: StringFilter | None = strawberry.field(default=UNSET, description="Condition on the customer name.")
    product_id: StringFilter | None = strawberry.field(
        default=UNSET, description="Condition on the product's unique identifier."
    )
    product_name: StringFilter | None = strawberry.field(default=UNSET, description="Condition on the product name.")


LICENSE_DEPLOYMENTS = dataset(
    LicenseDeployment,
    name="licenseDeployments",
    path="analytics/commercial/deployment/license",
    service="serviceCode",
)

FIELD = connection_field(
    LICENSE_DEPLOYMENTS,
    LicenseDeployment,
    LicenseDeploymentDimension,
    LicenseDeploymentFilter,
    description="Sold and deployed licenses of the partner's customers. Needs a bearer token.",
)
