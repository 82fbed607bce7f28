"""Paginate through the report at an address with sgqlc; print rows and the codes of errors as JSON."""

import json
import sys

# README: begin
from collections.abc import Iterator
from typing import Any

import report
from sgqlc.endpoint.http import HTTPEndpoint
from sgqlc.operation import GraphQLErrors, Operation


def new_endpoint(url: str, token: str) -> HTTPEndpoint:
    return HTTPEndpoint(url, {"Authorization": f"Bearer {token}"}, timeout=60)


def page_of(endpoint: HTTPEndpoint, **arguments: Any) -> Any:
    operation = Operation(report.Query)
    page = operation.license_deployments(**arguments)
    page.edges.node.__fields__(
        "customer_tenant_id",
        "product_id",
        "channel",
        "customer_name",
        "product_name",
        "licenses_sold",
        "processed_date_time",
    )
    page.page_info.__fields__()
    response = endpoint(operation)
    if response.get("errors"):  # the endpoint logs errors, and raises nothing
        raise GraphQLErrors(response["errors"])
    return (operation + response).license_deployments


def all_rows(endpoint: HTTPEndpoint, **arguments: Any) -> Iterator[Any]:
    page = page_of(endpoint, **arguments)
    yield from (edge.node for edge in page.edges)
    while page.page_info.has_next_page:
        page = page_of(endpoint, **arguments, after=page.page_info.end_cursor)
        yield from (edge.node for edge in page.edges)


def code_of(error: GraphQLErrors) -> Any:
    return error.errors[0].get("extensions", {}).get("code")


# README: end


def backward(endpoint: HTTPEndpoint, last: int) -> list[Any]:
    """Return all rows, read from the end."""
    page = page_of(endpoint, last=last)
    rows = [edge.node for edge in page.edges]
    while page.page_info.has_previous_page:
        page = page_of(endpoint, last=last, before=page.page_info.start_cursor)
        rows = [edge.node for edge in page.edges] + rows
    return rows


def code_for(endpoint: HTTPEndpoint, **arguments: Any) -> Any:
    """Return the code of the error that a page gets."""
    try:
        page_of(endpoint, **arguments)
    except GraphQLErrors as error:
        return code_of(error)
    return None


if __name__ == "__main__":
    url, token, page_rows, condition = sys.argv[1:]
    first = int(page_rows)
    endpoint = new_endpoint(url, token)
    filtered = report.LicenseDeploymentFilter(json.loads(condition))
    result = {
        "forward": [row.__to_json_value__() for row in all_rows(endpoint, first=first)],
        "filtered": [row.__to_json_value__() for row in all_rows(endpoint, first=first, filter=filtered)],
        "backward": [row.__to_json_value__() for row in backward(endpoint, first)],
        "codes": [code_for(endpoint, after="unknown"), code_for(new_endpoint(url, "unknown"), first=first)],
    }
    json.dump(result, sys.stdout)
