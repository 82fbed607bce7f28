"""The schema: one Query type with a field for each dataset."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.name_converter import NameConverter
from strawberry.types.base import StrawberryObjectDefinition, StrawberryType

from gateway.dataset import Dataset
from schema.datasets import license_deployment, license_usage
from schema.scalars import SCALARS

# Each dataset with its Query field. A test fails if a file of schema/datasets is missing here.
DATASETS: tuple[tuple[Dataset, Any], ...] = (
    (license_deployment.LICENSE_DEPLOYMENTS, license_deployment.FIELD),
    (license_usage.LICENSE_USAGES, license_usage.FIELD),
)


class Names(NameConverter):
    """Strawberry's names, but a connection is named after its rows alone.

    Names are cached: Strawberry derives the name of every input field again for each object that a caller sends.
    """

    def __init__(self) -> None:
        super().__init__(auto_camel_case=True)
        self.apply_naming_config = lru_cache(maxsize=1_024)(super().apply_naming_config)  # type: ignore[method-assign]

    def from_generic(self, generic_type: StrawberryObjectDefinition, types: list[StrawberryType | type]) -> str:
        """Return the name of a generic type, without the types after the first."""
        return super().from_generic(generic_type, types[:1])


def build_schema() -> strawberry.Schema:
    """Return the Strawberry schema of all DATASETS."""
    query = type("Query", (), {dataset.name: field for dataset, field in DATASETS})
    return strawberry.Schema(
        query=strawberry.type(query, description="What can be asked."),
        config=StrawberryConfig(scalar_map=SCALARS, name_converter=Names()),
    )


def sdl() -> str:
    """Return the schema in GraphQL's schema definition language, ending with a newline."""
    return str(build_schema()).strip() + "\n"
