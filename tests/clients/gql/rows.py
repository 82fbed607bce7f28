"""Paginate through the report at an address with gql; print rows and the codes of errors as JSON."""

import json
import sys

# README: begin
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXTransport

ROWS = Path("rows.graphql").read_text(encoding="utf-8")


def new_client(url: str, token: str) -> Client:
    headers = {"Authorization": f"Bearer {token}"}
    transport = HTTPXTransport(url, headers=headers, timeout=60)  # the default of 5 seconds is short
    return Client(transport=transport, fetch_schema_from_transport=True)  # rejects an invalid document itself


def page_of(session: Any, **variables: Any) -> Any:
    return session.execute(GraphQLRequest(ROWS, variable_values=variables))["licenseDeployments"]


def all_rows(session: Any, **variables: Any) -> Iterator[dict[str, Any]]:
    page = page_of(session, **variables)
    yield from (edge["node"] for edge in page["edges"])
    while page["pageInfo"]["hasNextPage"]:
        page = page_of(session, **variables, after=page["pageInfo"]["endCursor"])
        yield from (edge["node"] for edge in page["edges"])


def code_of(error: TransportQueryError) -> Any:
    return error.errors[0]["extensions"]["code"] if error.errors else None


# README: end


def backward(session: Any, last: int) -> list[dict[str, Any]]:
    """Return all rows, read from the end."""
    page = page_of(session, last=last)
    rows = [edge["node"] for edge in page["edges"]]
    while page["pageInfo"]["hasPreviousPage"]:
        page = page_of(session, last=last, before=page["pageInfo"]["startCursor"])
        rows = [edge["node"] for edge in page["edges"]] + rows
    return rows


def code_for(url: str, token: str, **variables: Any) -> Any:
    """Return the code of the error that a page gets."""
    try:
        with new_client(url, token) as session:
            page_of(session, **variables)
    except TransportQueryError as error:
        return code_of(error)
    return None


if __name__ == "__main__":
    url, token, page_rows, condition = sys.argv[1:]
    first = int(page_rows)
    with new_client(url, token) as session:
        result = {
            "forward": list(all_rows(session, first=first)),
            "filtered": list(all_rows(session, first=first, filter=json.loads(condition))),
            "backward": backward(session, first),
            "codes": [code_for(url, token, after="unknown"), code_for(url, "unknown", first=first)],
        }
    json.dump(result, sys.stdout)
