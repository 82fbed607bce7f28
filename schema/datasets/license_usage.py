"""The dataset of active licenses for each workload.

Source: the Microsoft page "Get licenses usage information". Its table has ``licensesActive``, its example
``licenseActive``.
"""

import strawberry

from gateway.dataset import Rate
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

# Parts of descriptions.
NOT_ADDED = (
    "One license counts once in each workload, so adding over workloads would count it several times. Null in groups"
    " over several workloads: filter one `workloadCode`, or group by it."
)
NO_TOTALS = (
    "One license counts once in each workload, so there are totals only if the filter admits exactly one value of"
    " `workloadCode`."
)


@strawberry.type(
    description="Licenses of one product that one customer may use in one workload, and how many of them are active. A"
    " license of a suite appears once for each of its workloads. With `groupBy`, sums over the groups: dimensions that"
    " were not asked for are null."
)
class LicenseUsage:
    """A row."""

    workload_code: str | None = text_dimension("Workload code", example="EXO")
    workload_name: str | None = text_dimension("Workload name", example="Exchange")
    service_code: str | None = text_dimension("Service code", example="o365")
    service_name: str | None = text_dimension("Service name", example="Microsoft Office 365")
    channel: str | None = text_dimension("Channel name", example="reseller")
    customer_tenant_id: str | None = identifier_dimension("customer", example="0112A436-B14E-4888-967B-CA4BB2CF1234")
    customer_name: str | None = name_dimension("customer", example="TEST COMPANY")
    product_id: str | None = identifier_dimension("product", example="6FD2C87F-B296-42F0-B197-1E91E994B900")
    product_name: str | None = name_dimension("product", example="OFFICE 365 ENTERPRISE E3")
    licenses_active: Long | None = measure("Number of licenses active in the workload", NOT_ADDED, example=40)
    licenses_qualified: Long | None = measure("Number of licenses qualified for the workload", NOT_ADDED, example=100)
    usage_rate: float | None = derived_measure(
        "Active licenses per qualified license, as a fraction",
        f"40 % is 0.4. It may exceed 1; null when none qualifies, or when a number is unknown. {NOT_ADDED}",
        example=0.4,
    )
    processed_date_time: DateTime | None = processed_date(example="2018-10-14T00:00:00")


LicenseUsageDimension = dimension_enum("LicenseUsageDimension", LicenseUsage)
LicenseUsageFilter = filter_input("LicenseUsageFilter", LicenseUsage)
LicenseUsageHaving = having_input("LicenseUsageHaving", LicenseUsage)
LicenseUsageOrderField = order_field_enum("LicenseUsageOrderField", LicenseUsage)
LicenseUsageOrder = order_input("LicenseUsageOrder", LicenseUsageOrderField)
LicenseUsageTotals = totals_type("LicenseUsageTotals", LicenseUsage, NO_TOTALS)

LICENSE_USAGES = dataset(
    LicenseUsage,
    name="licenseUsages",
    path="analytics/commercial/usage/license",
    service="serviceCode",
    derived=(Rate("usageRate", dividend="licensesActive", divisor="licensesQualified"),),
    not_additive=("workloadCode",),
    other_spellings={"licenseActive": "licensesActive"},
)

FIELD = connection_field(
    LICENSE_USAGES,
    LicenseUsage,
    LicenseUsageTotals,
    Inputs(LicenseUsageDimension, LicenseUsageFilter, LicenseUsageHaving, LicenseUsageOrder),
    description="Active and qualified licenses of the partner's customers for each workload. Needs a bearer token.",
)
