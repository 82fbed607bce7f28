"""The executor that renders connections in one pass and leaves all other values to graphql-core.

It overrides ``complete_object_value`` of graphql-core's Executor and uses ``collect_subfields``; neither is public.
Therefore Strawberry and graphql-core are pinned, and a test fails if a new version lacks either name.
"""

from __future__ import annotations

from typing import Any

import msgspec
from graphql import GraphQLObjectType, GraphQLResolveInfo
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path
from graphql.type import get_named_type
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.connection import ConnectionValue
from schema.execution.projection import Field, Selection, render


class FastExecutor(StrawberryGraphQLCoreExecutionContext):
    """Completes a whole connection at once, as bytes that the response's encoder copies."""

    def complete_object_value(
        self,
        return_type: GraphQLObjectType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        """Return the object's result; for a ConnectionValue, its JSON."""
        if isinstance(result, ConnectionValue):
            selection = self.select(return_type, field_details_list)
            self.context_value.selections.append(selection)
            return msgspec.Raw(render(selection, result))
        return super().complete_object_value(return_type, field_details_list, info, path, result, position_context)

    def select(self, object_type: GraphQLObjectType, field_details_list: FieldDetailsList) -> Selection:
        """Return the selection of the collected fields of ``object_type``, at every level."""
        grouped = self.collect_subfields(object_type, field_details_list).grouped_field_set
        return Selection(
            object_type.name,
            tuple(self._field(object_type, key, details) for key, details in grouped.items()),
        )

    def _field(self, parent: GraphQLObjectType, key: str, details: FieldDetailsList) -> Field:
        name = details[0].node.name.value
        definition = parent.fields.get(name)
        inner = None if definition is None else get_named_type(definition.type)
        inside = self.select(inner, details) if isinstance(inner, GraphQLObjectType) else None
        return Field(key, name, inside)
