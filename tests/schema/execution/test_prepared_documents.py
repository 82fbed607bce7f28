"""Parsed and validated documents are cached, and evicted ones are freed without a full garbage collection.

Full collections are rare: until the next one, a caller with ever new documents could fill gigabytes.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from graphql import DocumentNode
from graphql.language import Token

from schema.build import build_schema
from schema.execution.operations import Operations
from schema.execution.prepared_documents import PREPARED_DOCUMENTS
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


def alive(kind: type) -> int:
    return sum(type(value) is kind for value in gc.get_objects())
