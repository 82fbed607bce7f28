"""Parsed and validated documents are cached, and evicted ones are freed without a full garbage collection.

Unknown documents are prepared in turns, so that known ones do not wait for them.

Full collections are rare: until the next one, a caller with ever new documents could fill gigabytes.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import pytest
from graphql import DocumentNode
from graphql.language import Token

from gateway.errors import ServiceUnavailable
from schema.build import build_schema
from schema.execution.operations import Operations
from schema.execution.prepared_documents import MAX_PREPARED_TOKENS, PREPARED_DOCUMENTS
from tests.schema.http.test_errors_over_http import LIMITS

GOOD = (
    "{{ a{number}: licenseDeployments(first: 3) {{ nodes {{ ...F }} }} }} fragment F on LicenseDeployment {{ channel }}"
)
WRONG = "{{ a{number}: licenseDeployments {{ nodes {{ nothing }} chanel }} }}"
DEEP = "{{ a{number}: licenseDeployments {{ " + "nodes {{ " * 30 + "}} " * 32
BROKEN = "{{ a{number}: licenseDeployments {{ nodes"


@pytest.fixture
def only_the_young_are_collected() -> Iterator[None]:
    gc.collect()
    # Exclude objects of other tests.
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
        gc.collect()


@pytest.mark.usefixtures("only_the_young_are_collected")
@pytest.mark.parametrize("text", [GOOD, WRONG, DEEP, BROKEN], ids=["good", "wrong", "refused", "broken"])
def test_dropped_documents_are_freed_at_once(text: str) -> None:
    operations = Operations(build_schema(), LIMITS, introspection=True)
    for number in range(3 * PREPARED_DOCUMENTS):
        assert bool(operations.faults_of(text.format(number=number))) is (text is not GOOD)
        # Objects left over by validation are in the youngest generation.
        gc.collect(0)
    # Of a refused document, only the error is cached.
    assert alive(DocumentNode) <= (PREPARED_DOCUMENTS if text in (GOOD, WRONG) else 0)
    # The longest document has 24 tokens.
    assert alive(Token) <= 25 * PREPARED_DOCUMENTS


@pytest.mark.usefixtures("only_the_young_are_collected")
def test_cached_documents_have_a_bounded_number_of_tokens() -> None:
    operations = Operations(build_schema(), LIMITS, introspection=True)
    for number in range(60):
        operations.faults_of(f"query Q{number}({' '.join(f'$v{index}: Int' for index in range(480))}) {{ __typename }}")
        gc.collect(0)
    assert 30 < alive(DocumentNode) <= MAX_PREPARED_TOKENS // 1_900


class Parsed:
    """Counts the documents that are parsed."""

    def __init__(self) -> None:
        self.count = 0

    def phase(self, name: str) -> AbstractContextManager[None]:
        self.count += name == "parse"
        return nullcontext()


async def test_known_documents_are_returned_between_two_unknown_ones() -> None:
    """Each request of a known document takes as many steps of the event loop as other requests may need."""
    parsed = Parsed()
    operations = Operations(build_schema(), LIMITS, introspection=True, phase=parsed.phase)
    operations.faults_of(GOOD.format(number=0))
    parsed.count = 0
    seen: list[int] = []

    async def known() -> None:
        while parsed.count < 20:
            await operations.prepared(GOOD.format(number=0), b"known")
            seen.append(parsed.count)
            await asyncio.sleep(0)

    unknown = [operations.prepared(GOOD.format(number=number), b"%d" % (number % 3)) for number in range(1, 21)]
    await asyncio.gather(*unknown, known())
    assert set(seen) >= set(range(20))


async def test_a_short_document_does_not_wait_for_long_ones() -> None:
    operations, order = Operations(build_schema(), LIMITS, introspection=True), list[int]()

    async def prepare(number: int, length: int) -> None:
        await operations.prepared(GOOD.format(number=number).ljust(length), b"owner")
        order.append(number)

    await asyncio.gather(*(prepare(number, 2_000) for number in range(10)), prepare(10, 0))
    assert order.index(10) <= 2


async def test_many_requests_of_one_unknown_document_prepare_it_once() -> None:
    parsed = Parsed()
    operations = Operations(build_schema(), LIMITS, introspection=True, phase=parsed.phase)
    documents = await asyncio.gather(*(operations.prepared(GOOD.format(number=1), b"%d" % owner) for owner in range(9)))
    assert parsed.count == 1
    assert all(document is documents[0] for document in documents)


async def test_a_document_whose_turn_does_not_come_in_time_is_refused() -> None:
    limits = replace(LIMITS, operation_timeout_seconds=0)
    operations = Operations(build_schema(), limits, introspection=True)
    with pytest.raises(ServiceUnavailable, match="new documents"):
        await operations.prepared(GOOD.format(number=1), b"owner")


def alive(kind: type) -> int:
    return sum(type(value) is kind for value in gc.get_objects())
