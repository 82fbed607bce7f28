// The fields that a connection selects for its rows, below `nodes` or `edges { node }`.

import { nameNode } from "./literals.js";

const { Kind } = window.GraphiQL.GraphQL;

// Rows without any field are a syntax error.
const PLACEHOLDER = "__typename";

/** Returns a field without arguments. */
export function fieldNode(name, names = []) {
  const selections = names.map((inner) => fieldNode(inner));
  return {
    kind: Kind.FIELD,
    name: nameNode(name),
    selectionSet: selections.length > 0 ? { kind: Kind.SELECTION_SET, selections } : undefined,
  };
}

/** Returns the names of the rows' fields by their keys in the response, through fragments. */
export function rowFields(connection, fragments) {
  const rows = [
    ...below([connection], "nodes", fragments),
    ...below(below([connection], "edges", fragments), "node", fragments),
  ];
  const found = rows.flatMap((row) => selected(row, fragments));
  return new Map(found.map(({ alias, name }) => [(alias ?? name).value, name.value]));
}

/** Returns the connection with the field `name` in its rows, in front of those of `others` that are there. */
export function withRowField(connection, name, fragments, others = []) {
  if ([...rowFields(connection, fragments).values()].includes(name)) return connection;
  const selections = selectionsOf(connection);
  const hasRows = selections.some((field) => isField(field, "nodes") || isField(field, "edges"));
  if (!hasRows) return withSelections(connection, [...selections, fieldNode("nodes", [name])]);
  return changedRows(connection, (row) => {
    const kept = selectionsOf(row).filter((field) => !isPlaceholder(field, row));
    const place = kept.findIndex((field) => others.some((other) => isField(field, other)));
    return withSelections(row, kept.toSpliced(place < 0 ? kept.length : place, 0, fieldNode(name)));
  });
}

/** Returns the connection without the field `name` in its rows; fields inside fragments stay. */
export function withoutRowField(connection, name) {
  return changedRows(connection, (row) => {
    const left = selectionsOf(row).filter((selection) => !isField(selection, name));
    return withSelections(row, left.length > 0 ? left : [fieldNode(PLACEHOLDER)]);
  });
}

function changedRows(connection, change) {
  const changed = selectionsOf(connection).map((selection) => {
    if (isField(selection, "nodes")) return change(selection);
    if (!isField(selection, "edges")) return selection;
    const inner = selectionsOf(selection).map((field) => (isField(field, "node") ? change(field) : field));
    return withSelections(selection, inner);
  });
  return withSelections(connection, changed);
}

function selectionsOf({ selectionSet }) {
  return selectionSet?.selections ?? [];
}

function withSelections(field, selections) {
  return { ...field, selectionSet: { kind: Kind.SELECTION_SET, selections } };
}

function isPlaceholder(field, row) {
  return isField(field, PLACEHOLDER) && selectionsOf(row).length === 1;
}

function below(parents, name, fragments) {
  return parents.flatMap((parent) => selected(parent, fragments)).filter((field) => field.name.value === name);
}

/** Returns the fields selected in a field, an inline fragment or a fragment. */
function selected(parent, fragments, spread = []) {
  return selectionsOf(parent).flatMap((selection) => {
    if (selection.kind === Kind.FIELD) return [selection];
    if (selection.kind === Kind.INLINE_FRAGMENT) return selected(selection, fragments, spread);
    const fragment = fragments.get(selection.name.value);
    if (!fragment || spread.includes(fragment)) return [];
    return selected(fragment, fragments, [...spread, fragment]);
  });
}

function isField({ kind, name }, wanted) {
  return kind === Kind.FIELD && name.value === wanted;
}
