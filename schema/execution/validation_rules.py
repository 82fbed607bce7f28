"""What validation adds to graphql-core's words, for mistakes that many make with connections."""

from __future__ import annotations

from typing import Any

from graphql import FieldNode, GraphQLError, GraphQLObjectType, get_named_type
from graphql.validation import FieldsOnCorrectTypeRule


class MisplacedFieldRule(FieldsOnCorrectTypeRule):
    """Fields on correct type; one that stands a level too high is told where it belongs, such as in ``nodes``.

    Where suggestions are hidden it says no more than the rule it is made of.
    """

    def enter_field(self, node: FieldNode, *args: Any) -> None:
        """Report a field that its parent does not have."""
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
    """The fields of ``parent`` whose type has a field ``name``."""
    if not isinstance(parent, GraphQLObjectType):
        return []
    types = {place: get_named_type(field.type) for place, field in parent.fields.items()}
    return [place for place, type_ in types.items() if isinstance(type_, GraphQLObjectType) and name in type_.fields]
