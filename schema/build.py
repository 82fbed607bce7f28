"""The schema: every dataset's field merged into one Query type."""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry.schema.config import StrawberryConfig

from gateway.query import Dataset
from schema.datasets import license_deployment
from schema.scalars import SCALARS

# Each dataset with its Query field. A file in schema/datasets that is missing here fails a test.
DATASETS: tuple[tuple[Dataset, Any], ...] = ((license_deployment.LICENSE_DEPLOYMENTS, license_deployment.FIELD),)


def build_schema() -> strawberry.Schema:
    """The Strawberry schema over all DATASETS."""
    query = type("Query", (), {dataset.name: field for dataset, field in DATASETS})
    return strawberry.Schema(
        query=strawberry.type(query, description="What can be asked."),
        config=StrawberryConfig(scalar_map=SCALARS, auto_camel_case=True),
    )


def sdl() -> str:
    """The schema in GraphQL's schema definition language, with a closing newline."""
    return str(build_schema()).strip() + "\n"
