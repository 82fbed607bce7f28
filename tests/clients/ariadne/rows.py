"""Paginate through the report at an address with the generated client; print rows and the codes of errors as JSON."""

import asyncio
import json
import sys

# README: begin
from collections.abc import AsyncIterator
from typing import Any

import httpx
from report import Client, GraphQLClientError, GraphQLClientGraphQLMultiError, GraphQLClientHttpError


def new_client(url: str, token: str) -> Client:
    headers = {"Authorization": f"Bearer {token}"}
    http_client = httpx.AsyncClient(headers=headers, timeout=60)  # the default of 5 seconds is short
    return Client(url, http_client=http_client)


async def all_rows(client: Client, **variables: Any) -> AsyncIterator[Any]:
    after = None
    while True:
        page = (await client.rows(**variables, after=after)).license_deployments
        for edge in page.edges:
            yield edge.node
        if not page.page_info.has_next_page:
            return
        after = page.page_info.end_cursor


def code_of(error: GraphQLClientError) -> Any:
    if isinstance(error, GraphQLClientGraphQLMultiError):
        return error.errors[0].extensions["code"]
    if isinstance(error, GraphQLClientHttpError):  # another status than 2xx: the errors are in the body
        return error.response.json()["errors"][0]["extensions"]["code"]
    return None


# README: end


async def backward(client: Client, last: int) -> list[Any]:
    """Return all rows, read from the end."""
    page = (await client.rows(last=last)).license_deployments
    rows = [edge.node for edge in page.edges]
    while page.page_info.has_previous_page:
        page = (await client.rows(last=last, before=page.page_info.start_cursor)).license_deployments
        rows = [edge.node for edge in page.edges] + rows
    return rows


async def code_for(client: Client, **variables: Any) -> Any:
    """Return the code of the error that a page gets."""
    async with client:
        try:
            await client.rows(**variables)
        except GraphQLClientError as error:
            return code_of(error)
    return None


async def main(url: str, token: str, first: int, condition: Any) -> None:
    """Print everything."""
    async with new_client(url, token) as client:
        rows = {
            "forward": [row async for row in all_rows(client, first=first)],
            "filtered": [row async for row in all_rows(client, first=first, filter_=condition)],
            "backward": await backward(client, first),
        }
    codes = [
        await code_for(new_client(url, token), after="unknown"),
        await code_for(new_client(url, "unknown"), first=first),
    ]
    shown = {name: [row.model_dump(mode="json", by_alias=True) for row in found] for name, found in rows.items()}
    json.dump({**shown, "codes": codes}, sys.stdout)


if __name__ == "__main__":
    from report import LicenseDeploymentFilter

    url, token, page_rows, condition = sys.argv[1:]
    asyncio.run(main(url, token, int(page_rows), LicenseDeploymentFilter.model_validate_json(condition)))
