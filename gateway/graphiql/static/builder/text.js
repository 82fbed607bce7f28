// Writes changed fields into the text of an operation. The text around them stays, with its comments.

const { Kind, print, visit } = window.GraphiQL.GraphQL;

/** Returns the text and the values of variables of `source` (query.js), with `fields` in the place of its nodes. */
export function rewritten(source, fields, variables) {
  const { text, operation, nodes } = source;
  if (fields.length === nodes.length && fields.every((field, index) => field === nodes[index])) return { text, variables };
  const changed = withFields(operation, nodes, fields);
  const unused = unusedVariables(source, changed);
  const kept = Object.fromEntries(Object.entries(variables).filter(([name]) => !unused.has(name)));
  const isInPlace = unused.size === 0 && nodes.every((node) => startsLine(text, node));
  if (!isInPlace) return { text: replaced(text, operation, print(withoutVariables(changed, unused))), variables: kept };
  const written = nodes.toReversed().reduce((result, node, index) => {
    const place = nodes.length - 1 - index;
    const own = fieldsAt(place, nodes, fields).map((field) => printField(field, node, indentation(text, node)));
    return own.length > 0 ? replaced(result, node, own.join("\n" + indentation(text, node))) : withoutLines(result, node);
  }, text);
  return { text: written, variables: kept };
}

/** Returns the text with the field `added` at the end of the operation. */
export function withField(text, operation, added) {
  const selections = [...operation.selectionSet.selections, added];
  return replaced(text, operation, print({ ...operation, selectionSet: { ...operation.selectionSet, selections } }));
}

/** Returns the operation with `fields` instead of `nodes`. */
function withFields(operation, nodes, fields) {
  const selections = operation.selectionSet.selections.flatMap((selection) => {
    const place = nodes.indexOf(selection);
    return place < 0 ? [selection] : fieldsAt(place, nodes, fields);
  });
  return { ...operation, selectionSet: { ...operation.selectionSet, selections } };
}

/** Returns the fields for the place of a node; the last node's place has all further ones. */
function fieldsAt(place, nodes, fields) {
  return fields.slice(place, place === nodes.length - 1 ? undefined : place + 1);
}

/** Returns the names of variables that the operation used, and the changed one uses no more. */
function unusedVariables({ operation, fragments }, changed) {
  const others = [...fragments.values()];
  const [before, after] = [operation, changed].map((one) => usedVariables([one.selectionSet, ...others]));
  return new Set([...before].filter((name) => !after.has(name)));
}

function usedVariables(nodes) {
  const names = new Set();
  for (const node of nodes) visit(node, { [Kind.VARIABLE]: ({ name }) => void names.add(name.value) });
  return names;
}

function withoutVariables(operation, names) {
  const kept = (operation.variableDefinitions ?? []).filter(({ variable }) => !names.has(variable.name.value));
  return { ...operation, variableDefinitions: kept };
}

/** Returns the field as text; an unchanged one keeps its own text. */
function printField(field, node, indent) {
  return field === node ? node.loc.source.body.slice(node.loc.start, node.loc.end) : indented(print(field), indent);
}

function indented(text, indent) {
  return text.replaceAll("\n", `\n${indent}`);
}

function replaced(text, { loc }, replacement) {
  return text.slice(0, loc.start) + replacement + text.slice(loc.end);
}

function withoutLines(text, { loc }) {
  return text.slice(0, loc.start).trimEnd() + text.slice(loc.end);
}

function startsLine(text, node) {
  return indentation(text, node) !== null;
}

/** Returns the white space in front of a node in its line, or null if there is more than white space. */
function indentation(text, { loc }) {
  const start = text.lastIndexOf("\n", loc.start - 1) + 1;
  const before = text.slice(start, loc.start);
  return before.trim() === "" ? before : null;
}
