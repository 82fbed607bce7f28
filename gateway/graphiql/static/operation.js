// What an operation asks for, known before it is answered: which lists it orders, and whether it needs all rows.

import { isPresent } from "./cells.js";
import { measureOf, namesExceptional } from "./measures.js";

const { GraphQL } = window.GraphiQL;
const { Kind, parse, print, visit, valueFromASTUntyped, getDirectiveValues } = GraphQL;

// Arguments that select and order rows which the gateway has read, and change nothing about what it reads.
const NOT_READ = ["first", "after", "last", "before", "offset", "search", "having", "orderBy"];
const NOTHING = { ordered: new Map(), ungrouped: new Set(), scans: [], definitions: [] };

/**
 * Reads an operation ({query, variables, operationName}). `ordered` maps the response keys of the connections with an
 * order to that order ({measure, isDescending, isFromStart}: of its first field, and whether the page is the
 * first one). `ungrouped` are the keys of those without groups. Each of `scans` is a query whose rows the gateway must
 * read completely: the `name` of its field, and the arguments (`kept`) that choose these rows. `definitions` are those of the variables. The rules are the gateway's, in
 * schema/answers.py.
 */
export function readOperation({ query, variables, operationName }) {
  try {
    const scope = scopeOf(parse(query), variables, operationName);
    const connections = [...connectionsOf(scope).entries()].map(([key, fields]) => connectionOf(key, fields, scope));
    const scans = connections.flatMap(({ scan }) => (scan ? [scan] : []));
    return {
      ordered: new Map(connections.filter(({ order }) => order).map(({ key, order }) => [key, order])),
      ungrouped: new Set(connections.filter(({ isGrouped }) => !isGrouped).map(({ key }) => key)),
      scans: scans.filter(({ text }, index) => scans.findIndex((other) => other.text === text) === index),
      definitions: scope.operation.variableDefinitions ?? [],
    };
  } catch {
    // The gateway reports what is wrong with it.
    return NOTHING;
  }
}

/** Returns what to send with an operation: one that needs all rows also asks for its cost. */
export function extensionsOf(operation) {
  return readOperation(operation).scans.length > 0 ? { extensions: { cost: true } } : {};
}

/**
 * Returns the operation without its name if its text has none of that name: GraphiQL notices the name of a newly chosen
 * tab only after a tenth of a second.
 */
export function withFittingName({ operationName, ...operation }) {
  return { ...operation, ...(hasOperation(operation.query, operationName) ? { operationName } : {}) };
}

function hasOperation(query, name) {
  try {
    const operations = parse(query).definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
    return operations.some((operation) => operation.name?.value === name);
  } catch {
    // The gateway reports what is wrong with it.
    return true;
  }
}

/** Returns an operation of a document with the values of its variables, and its fragments. */
export function scopeOf({ definitions }, variables, operationName) {
  const operations = definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  const operation = operations.find(({ name }) => name?.value === operationName) ?? operations[0];
  const defaults = (operation.variableDefinitions ?? []).map(({ variable, defaultValue }) => [
    variable.name.value,
    defaultValue && valueFromASTUntyped(defaultValue),
  ]);
  const fragments = definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION);
  return {
    operation,
    values: { ...Object.fromEntries(defaults), ...variables },
    fragments: new Map(fragments.map((fragment) => [fragment.name.value, fragment])),
  };
}

/** Returns the operation's fields by response key: a key may occur several times. */
export function connectionsOf(scope) {
  const connections = new Map();
  for (const field of fieldsOf([scope.operation], scope)) {
    const key = (field.alias ?? field.name).value;
    connections.set(key, [...(connections.get(key) ?? []), field]);
  }
  return connections;
}

/** Returns what a connection asks for; `scan` is null if the gateway reads only what its page needs. */
function connectionOf(key, fields, scope) {
  const [{ name, arguments: nodes = [] }] = fields;
  const values = Object.fromEntries(
    nodes.map((argument) => [argument.name.value, valueFromASTUntyped(argument.value, scope.values)]),
  );
  const order = hasItems(values.orderBy) ? orderOf(values) : null;
  const isRefined = order !== null || hasItems(values.having) || Boolean(values.search?.trim());
  const isExceptional = needsRows(values, fields, scope);
  // For the exceptional measures, the gateway reads the rows and groups them itself.
  const omitted = isExceptional ? [...NOT_READ, "groupBy"] : NOT_READ;
  const kept = nodes.filter((argument) => !omitted.includes(argument.name.value));
  const scan = { name: name.value, kept, text: [name.value, ...kept.map(print)].join() };
  return { key, order, isGrouped: hasItems(values.groupBy), scan: isRefined || isExceptional ? scan : null };
}

function orderOf({ orderBy, after, before, last, offset }) {
  const [first] = [orderBy].flat();
  const isFromStart = !after && !before && !isPresent(last) && !offset;
  return { measure: measureOf(String(first?.field)), isDescending: first?.direction === "DESC", isFromStart };
}

/** Returns whether a measure is used that only all rows determine. Each row has it itself, but a group has not. */
function needsRows({ orderBy, having, groupBy }, fields, scope) {
  const inner = fieldsOf(fields, scope);
  const totals = inner.filter((field) => field.name.value === "totals");
  const others = inner.filter((field) => field.name.value !== "totals");
  return [
    JSON.stringify([orderBy, having]),
    ...namesBelow(totals, scope),
    ...(hasItems(groupBy) ? namesBelow(others, scope) : []),
  ].some((text) => namesExceptional(text));
}

/** Returns whether a list or an object is given and not empty; a single item may stand for a list. */
function hasItems(value) {
  if (value === null || value === undefined) return false;
  return typeof value !== "object" || Object.keys(value).length > 0;
}

/** Returns the names of all fields below `fields`, two levels deep: a connection has no deeper ones. */
function namesBelow(fields, scope) {
  const inner = fieldsOf(fields, scope);
  return [...inner, ...fieldsOf(inner, scope)].map(({ name }) => name.value);
}

/** Returns the fields that are selected in `parents`, through fragments, without those that directives leave out. */
function fieldsOf(parents, scope, spread = new Set()) {
  const selections = parents.flatMap(({ selectionSet }) => selectionSet?.selections ?? []);
  return selections
    .filter((selection) => isIncluded(selection, scope.values))
    .flatMap((selection) => {
      if (selection.kind === Kind.FIELD) return [selection];
      if (selection.kind === Kind.INLINE_FRAGMENT) return fieldsOf([selection], scope, spread);
      const fragment = scope.fragments.get(selection.name.value);
      if (!fragment || spread.has(fragment)) return [];
      return fieldsOf([fragment], scope, spread.add(fragment));
    });
}

function isIncluded(selection, values) {
  const skip = getDirectiveValues(GraphQL.GraphQLSkipDirective, selection, values);
  const include = getDirectiveValues(GraphQL.GraphQLIncludeDirective, selection, values);
  return skip?.if !== true && include?.if !== false;
}

/** Returns an operation that asks for the number of rows of each scan. It reads the block that the scan reads first. */
export function countingOperation({ scans, definitions }, variables, blockRows) {
  const fields = scans.map(({ name, kept }, index) => {
    const place = [`offset: ${blockRows - 1}`, "first: 1"];
    return `rows${index}: ${name}(${[...kept.map(print), ...place].join(" ")}) { totalCount }`;
  });
  return operationOf(fields, scans.flatMap(({ kept }) => kept), definitions, variables);
}

/** Returns an operation of these `fields`, with the variables that their `nodes` of arguments use. */
export function operationOf(fields, nodes, definitions, variables) {
  const used = new Set();
  for (const node of nodes) visit(node, { Variable: ({ name }) => void used.add(name.value) });
  const declared = definitions.filter(({ variable }) => used.has(variable.name.value)).map(print);
  const head = declared.length > 0 ? `query (${declared.join(" ")})` : "query";
  const values = Object.entries(variables ?? {}).filter(([name]) => used.has(name));
  return { query: `${head} { ${fields.join(" ")} }`, variables: Object.fromEntries(values) };
}
