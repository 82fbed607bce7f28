"""Tokens that were never accepted share one place, however many a caller invents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.scheduling.accepted_tokens import NO_OWNER, AcceptedTokens
from schema.execution.operations import Operations
from schema.execution.prepared_documents import PreparedDocument

if TYPE_CHECKING:
    from tests.conftest import StartGateway


def test_only_owners_that_were_accepted_have_their_own_place() -> None:
    accepted = AcceptedTokens(max_owners=2)
    assert accepted.owner(b"a") == NO_OWNER
    for owner in (b"a", b"b", b"a", b"c"):
        accepted.note(owner)
    assert [accepted.owner(owner) for owner in (b"a", b"b", b"c")] == [b"a", NO_OWNER, b"c"]


def test_new_documents_of_tokens_that_were_never_accepted_wait_as_one(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[bytes] = []
    prepared = Operations.prepared

    async def noted(self: Operations, text: str, owner: bytes) -> PreparedDocument:
        waited.append(owner)
        return await prepared(self, text, owner)

    monkeypatch.setattr(Operations, "prepared", noted)
    gateway = start_gateway()
    for number, token in enumerate(("contoso+status=401+as=p1", "contoso+as=p2", "contoso+as=p2", "invented")):
        gateway.post(f"{{ licenseDeployments(first: {number + 1}) {{ totalCount }} }}", token)
    assert [owner == NO_OWNER for owner in waited] == [True, True, False, True]
