"""Better validation messages for common mistakes with connections."""

from __future__ import annotations

from typing import Any

from graphql import FieldNode, GraphQLError, GraphQLObjectType, get_named_type
from graphql.validation import FieldsOnCorrectTypeRule


class MisplacedFieldRule(FieldsOnCorrectTypeRule):
    """graphql-core's rule for unknown fields, with a better message for a field selected one level too high.

    The message names the field to select it in, such as ``nodes``. If suggestions are hidden, the messages are
    graphql-core's.
    """

    def enter_field(self, node: FieldNode, *args: Any) -> None:
        """Report a field that its parent lacks."""
        if self.context.get_field_def():
            return
        parent = self.context.get_parent_type()
        places = [] if self.context.hide_suggestions else places_of(node.name.value, parent)
        if not places:
            super().enter_field(node, *args)
            return
        name = node.name.value
        inside = f"{name} {{ … }}" if node.selection_set else name
        choices = " or ".join(f"'{place} {{ {inside} }}'" for place in places)
        message = f"Cannot query field '{name}' on type '{parent}'. It belongs one level deeper: write {choices}."
        self.report_error(GraphQLError(message, node))


def places_of(name: str, parent: Any) -> list[str]:
    """Return the fields of ``parent`` whose type has a field ``name``."""
    if not isinstance(parent, GraphQLObjectType):
        return []
    types = {place: get_named_type(field.type) for place, field in parent.fields.items()}
    return [place for place, type_ in types.items() if isinstance(type_, GraphQLObjectType) and name in type_.fields]
