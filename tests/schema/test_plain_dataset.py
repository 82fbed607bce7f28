"""A dataset without derived measures has order, conditions and totals from its declaration alone."""

import strawberry
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLObjectType
from strawberry.schema.config import StrawberryConfig

from schema.build import Names
from schema.dimensions import dimension_enum, filter_input, name_dimension, processed_date, text_dimension
from schema.field import Inputs, connection_field
from schema.measures import having_input, measure, order_field_enum, order_input, totals_type
from schema.rows import dataset
from schema.scalars import SCALARS, DateTime, Long


@strawberry.type(description="A row.")
class Usage:
    service_code: str | None = text_dimension("Service code", example="o365")
    customer_name: str | None = name_dimension("customer", example="TEST COMPANY")
    active_users: Long | None = measure("Number of active users", example=9)
    processed_date_time: DateTime | None = processed_date(example="2018-10-14T00:00:00")


UsageDimension = dimension_enum("UsageDimension", Usage)
UsageFilter = filter_input("UsageFilter", Usage)
UsageHaving = having_input("UsageHaving", Usage)
UsageOrder = order_input("UsageOrder", order_field_enum("UsageOrderField", Usage))
UsageTotals = totals_type("UsageTotals", Usage)

USAGES = dataset(Usage, name="usages", path="usages", service="serviceCode", not_additive=("customerName",))
FIELD = connection_field(
    USAGES, Usage, UsageTotals, Inputs(UsageDimension, UsageFilter, UsageHaving, UsageOrder), description="Usages."
)


def test_order_having_and_totals_follow_from_the_row() -> None:
    query = strawberry.type(type("Query", (), {"usages": FIELD}))
    config = StrawberryConfig(scalar_map=SCALARS, name_converter=Names())
    types = strawberry.Schema(query=query, config=config)._schema.type_map
    fields, having, totals = types["UsageOrderField"], types["UsageHaving"], types["UsageTotals"]
    assert isinstance(fields, GraphQLEnumType)
    assert isinstance(having, GraphQLInputObjectType)
    assert isinstance(totals, GraphQLObjectType)
    assert set(fields.values) == {"SERVICE_CODE", "CUSTOMER_NAME", "ACTIVE_USERS"}
    assert {name: str(field.type) for name, field in having.fields.items() if name not in ("and", "or", "not")} == {
        "activeUsers": "LongCondition"
    }
    assert {name: str(field.type) for name, field in totals.fields.items()} == {"activeUsers": "Long"}
    assert "FloatCondition" not in types
    assert str(types["UsageConnection"].fields["totals"].type) == "UsageTotals"  # type: ignore[attr-defined]


def test_groups_of_such_a_dataset_are_always_the_upstreams() -> None:
    assert USAGES.exceptional == frozenset()
    assert USAGES.members == USAGES.attributes
    assert USAGES.group_row.__struct_fields__ == USAGES.row.__struct_fields__
