"""The schema is the published one, and everything in it has a description."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import graphql
import pytest
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLObjectType, GraphQLSchema

from gateway.dataset import Dataset
from schema import datasets
from schema.build import DATASETS, build_schema, sdl

PROMISED = """
scalar Long
scalar DateTime

type Query {
  licenseDeployments(
    filter: LicenseDeploymentFilter
    groupBy: [LicenseDeploymentDimension!]
    processedDateTime: DateTime
    first: Int
    after: String
    last: Int
    before: String
    offset: Int
    search: String
    having: LicenseDeploymentHaving
    orderBy: [LicenseDeploymentOrder!]
  ): LicenseDeploymentConnection
  licenseUsages(
    filter: LicenseUsageFilter
    groupBy: [LicenseUsageDimension!]
    processedDateTime: DateTime
    first: Int
    after: String
    last: Int
    before: String
    offset: Int
    search: String
    having: LicenseUsageHaving
    orderBy: [LicenseUsageOrder!]
  ): LicenseUsageConnection
}

type LicenseDeploymentConnection {
  edges: [LicenseDeploymentEdge!]!
  nodes: [LicenseDeployment!]!
  pageInfo: PageInfo!
  totalCount: Long
  totals: LicenseDeploymentTotals
}

type LicenseDeploymentEdge {
  cursor: String!
  node: LicenseDeployment!
}

type PageInfo {
  hasNextPage: Boolean!
  hasPreviousPage: Boolean!
  startCursor: String
  endCursor: String
}

type LicenseDeployment {
  serviceCode: String
  serviceName: String
  channel: String
  customerTenantId: String
  customerName: String
  productId: String
  productName: String
  licensesDeployed: Long
  licensesSold: Long
  licensesUnassigned: Long
  licensesOverdeployed: Long
  deploymentRate: Float
  processedDateTime: DateTime
}

type LicenseDeploymentTotals {
  licensesSold: Long
  licensesDeployed: Long
  licensesUnassigned: Long
  licensesOverdeployed: Long
  deploymentRate: Float
}

enum OrderDirection {
  ASC
  DESC
}

enum LicenseDeploymentOrderField {
  SERVICE_CODE
  SERVICE_NAME
  CHANNEL
  CUSTOMER_TENANT_ID
  CUSTOMER_NAME
  PRODUCT_ID
  PRODUCT_NAME
  LICENSES_SOLD
  LICENSES_DEPLOYED
  LICENSES_UNASSIGNED
  LICENSES_OVERDEPLOYED
  DEPLOYMENT_RATE
}

input LicenseDeploymentOrder {
  field: LicenseDeploymentOrderField!
  direction: OrderDirection! = ASC
}

input LicenseDeploymentHaving {
  and: [LicenseDeploymentHaving!]
  or: [LicenseDeploymentHaving!]
  not: LicenseDeploymentHaving
  licensesSold: LongCondition
  licensesDeployed: LongCondition
  licensesUnassigned: LongCondition
  licensesOverdeployed: LongCondition
  deploymentRate: FloatCondition
}

input LongCondition {
  eq: Long
  ne: Long
  gt: Long
  gte: Long
  lt: Long
  lte: Long
}

input FloatCondition {
  gt: Float
  gte: Float
  lt: Float
  lte: Float
}

enum LicenseDeploymentDimension {
  SERVICE_CODE
  SERVICE_NAME
  CHANNEL
  CUSTOMER_TENANT_ID
  CUSTOMER_NAME
  PRODUCT_ID
  PRODUCT_NAME
}

input LicenseDeploymentFilter {
  and: [LicenseDeploymentFilter!]
  or: [LicenseDeploymentFilter!]
  not: LicenseDeploymentFilter
  serviceCode: StringFilter
  serviceName: StringFilter
  channel: StringFilter
  customerTenantId: StringFilter
  customerName: StringFilter
  productId: StringFilter
  productName: StringFilter
}

input StringFilter {
  eq: String
  ne: String
  in: [String!]
  notIn: [String!]
}

type LicenseUsage {
  workloadCode: String
  workloadName: String
  serviceCode: String
  serviceName: String
  channel: String
  customerTenantId: String
  customerName: String
  productId: String
  productName: String
  licensesActive: Long
  licensesQualified: Long
  usageRate: Float
  processedDateTime: DateTime
}

type LicenseUsageConnection {
  edges: [LicenseUsageEdge!]!
  nodes: [LicenseUsage!]!
  pageInfo: PageInfo!
  totalCount: Long
  totals: LicenseUsageTotals
}

enum LicenseUsageDimension {
  WORKLOAD_CODE
  WORKLOAD_NAME
  SERVICE_CODE
  SERVICE_NAME
  CHANNEL
  CUSTOMER_TENANT_ID
  CUSTOMER_NAME
  PRODUCT_ID
  PRODUCT_NAME
}

type LicenseUsageEdge {
  cursor: String!
  node: LicenseUsage!
}

input LicenseUsageFilter {
  and: [LicenseUsageFilter!]
  or: [LicenseUsageFilter!]
  not: LicenseUsageFilter
  workloadCode: StringFilter
  workloadName: StringFilter
  serviceCode: StringFilter
  serviceName: StringFilter
  channel: StringFilter
  customerTenantId: StringFilter
  customerName: StringFilter
  productId: StringFilter
  productName: StringFilter
}

input LicenseUsageHaving {
  and: [LicenseUsageHaving!]
  or: [LicenseUsageHaving!]
  not: LicenseUsageHaving
  licensesActive: LongCondition
  licensesQualified: LongCondition
  usageRate: FloatCondition
}

input LicenseUsageOrder {
  field: LicenseUsageOrderField!
  direction: OrderDirection! = ASC
}

enum LicenseUsageOrderField {
  WORKLOAD_CODE
  WORKLOAD_NAME
  SERVICE_CODE
  SERVICE_NAME
  CHANNEL
  CUSTOMER_TENANT_ID
  CUSTOMER_NAME
  PRODUCT_ID
  PRODUCT_NAME
  LICENSES_ACTIVE
  LICENSES_QUALIFIED
  USAGE_RATE
}

type LicenseUsageTotals {
  licensesActive: Long
  licensesQualified: Long
  usageRate: Float
}
"""

PRINTED: GraphQLSchema = graphql.build_schema(sdl())


def described() -> Iterator[tuple[str, str | None]]:
    """Return every element that can have a description, by its path."""
    for name, kind in PRINTED.type_map.items():
        if name.startswith("__") or graphql.is_specified_scalar_type(kind):
            continue
        yield name, kind.description
        for inner, member in _members(kind).items():
            yield f"{name}.{inner}", member.description
            for argument, value in getattr(member, "args", {}).items():
                yield f"{name}.{inner}({argument})", value.description


def _members(kind: Any) -> dict[str, Any]:
    if isinstance(kind, GraphQLEnumType):
        return dict(kind.values)
    return dict(kind.fields) if isinstance(kind, GraphQLObjectType | GraphQLInputObjectType) else {}


def structure(schema: GraphQLSchema) -> set[str]:
    """Return each type, field, argument, enum value and input field with its type and default."""
    elements = set()
    for name, kind in schema.type_map.items():
        if name.startswith("__") or graphql.is_specified_scalar_type(kind):
            continue
        elements.add(f"{type(kind).__name__} {name}")
        for inner, member in _members(kind).items():
            elements.add(f"{name}.{inner}: {getattr(member, 'type', None)} = {getattr(member, 'default_value', None)}")
            elements |= {f"{name}.{inner}({key}: {value.type})" for key, value in getattr(member, "args", {}).items()}
    return elements


def test_the_schema_is_the_published_one() -> None:
    promised = graphql.build_schema(PROMISED)
    changes = [change for change in graphql.find_schema_changes(promised, PRINTED) if "escription" not in str(change)]
    assert changes == []
    assert structure(PRINTED) == structure(promised)


def test_no_change_is_breaking_or_dangerous_for_clients_of_the_schema() -> None:
    promised = graphql.build_schema(PROMISED)
    assert graphql.find_breaking_changes(promised, PRINTED) == []
    assert graphql.find_dangerous_changes(promised, PRINTED) == []


@pytest.mark.parametrize(("path", "description"), list(described()), ids=lambda value: str(value)[:40])
def test_everything_is_described(path: str, description: str | None) -> None:
    assert description, path
    assert description[0].isupper() or description[0] in "`6"
    assert description.rstrip().endswith((".", "`", "`.")), description


def test_the_printed_schema_is_the_served_one() -> None:
    assert structure(graphql.build_schema(graphql.print_schema(build_schema()._schema))) == structure(PRINTED)
    assert graphql.validate_schema(build_schema()._schema) == []
    assert sdl().endswith("}\n")
    assert sdl() == sdl()


def test_every_dataset_file_has_a_field() -> None:
    names = {module.name for module in pkgutil.iter_modules(datasets.__path__)}
    modules = [importlib.import_module(f"schema.datasets.{name}") for name in names]
    in_files = {value.name for module in modules for value in vars(module).values() if isinstance(value, Dataset)}
    assert in_files == {dataset.name for dataset, _ in DATASETS}
    assert PRINTED.query_type is not None
    assert set(PRINTED.query_type.fields) == in_files


def test_rows_groups_and_filters_have_the_same_dimensions() -> None:
    for dataset, _ in DATASETS:
        (row,) = [kind for name, kind in PRINTED.type_map.items() if f"{name}Row" == dataset.row.__name__]
        assert isinstance(row, GraphQLObjectType)
        filters = PRINTED.type_map[f"{row.name}Filter"]
        dimensions = PRINTED.type_map[f"{row.name}Dimension"]
        assert isinstance(filters, GraphQLInputObjectType)
        assert isinstance(dimensions, GraphQLEnumType)
        assert set(filters.fields) - {"and", "or", "not"} == set(dataset.dimensions)
        assert len(dimensions.values) == len(dataset.dimensions)
        assert set(row.fields) == {*dataset.members}
        measures = {*dataset.members} - {*dataset.dimensions, dataset.date}
        totals, having = PRINTED.type_map[f"{row.name}Totals"], PRINTED.type_map[f"{row.name}Having"]
        assert isinstance(totals, GraphQLObjectType)
        assert isinstance(having, GraphQLInputObjectType)
        assert set(totals.fields) == measures
        assert set(having.fields) - {"and", "or", "not"} == measures
        fields = PRINTED.type_map[f"{row.name}OrderField"]
        assert isinstance(fields, GraphQLEnumType)
        assert len(fields.values) == len(dataset.dimensions) + len(measures)
        assert dataset.service in dataset.dimensions
