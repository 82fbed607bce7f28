// The paging arguments of a connection, and the edits of an operation's text that change them.

import { isPresent } from "./cells.js";
import { connectionsOf, operationOf, scopeOf } from "./operation.js";

const { Kind, parse, print, visit, valueFromASTUntyped } = window.GraphiQL.GraphQL;

const PAGING = ["first", "after", "last", "before", "offset"];

/**
 * Returns the connection with the response key `key`: the `name` of its field, and the `values` of its arguments. Null
 * if the operation ({query, variables, operationName}) cannot be read.
 */
export function connectionArguments(operation, key) {
  try {
    const { fields, scope } = readFields(operation, key);
    const [{ name, arguments: nodes }] = fields;
    const values = nodes.map((node) => [node.name.value, valueFromASTUntyped(node.value, scope.values)]);
    return { name: name.value, values: Object.fromEntries(values) };
  } catch {
    return null;
  }
}

/** Returns the operation that asks for the cursors of the connection's page, without its rows. */
export function cursorsOperation(operation, key) {
  const { fields, scope } = readFields(operation, key);
  const [{ name, arguments: nodes }] = fields;
  const place = nodes.length > 0 ? `(${nodes.map(print).join(" ")})` : "";
  const field = `${name.value}${place} { pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }`;
  return operationOf([`${key}: ${field}`], nodes, scope.operation.variableDefinitions ?? [], operation.variables);
}

/**
 * Returns what gives the connection the paging arguments `wanted` ({first, after, last, before, offset}), and no others:
 * `edits` ({start, end, text}) of the query's text, the last one first, and the `variables`. An argument that is a
 * variable stays one.
 */
export function editsForPage(operation, key, wanted) {
  const { document, fields, scope } = readFields(operation, key);
  const [variables, dropped, uses] = [{ ...operation.variables }, new Set(), countUses(document)];
  const change = { query: operation.query, fields, scope, uses, variables, dropped };
  const edits = fields.map((field) => {
    const kept = field.arguments.flatMap((node) => argumentText(node, wanted, change) ?? []);
    const taken = new Set(field.arguments.map((node) => node.name.value));
    const added = PAGING.filter((name) => isPresent(wanted[name]) && !taken.has(name));
    return listEdit(operation.query, field, [...kept, ...added.map((name) => written(name, wanted[name]))]);
  });
  const definitions = scope.operation.variableDefinitions ?? [];
  const left = definitions.filter(({ variable }) => !change.dropped.has(variable.name.value));
  if (left.length < definitions.length) edits.push(definitionsEdit(operation.query, definitions, left));
  const isChange = ({ start, end, text }) => operation.query.slice(start, end) !== text;
  return { edits: edits.filter(isChange).sort((a, b) => b.start - a.start), variables: change.variables };
}

function readFields({ query, variables, operationName }, key) {
  const document = parse(query);
  const scope = scopeOf(document, variables, operationName);
  return { document, scope, fields: connectionsOf(scope).get(key) };
}

/** Returns the text of an argument, null to leave it out; changes the variables if the argument is one. */
function argumentText(node, wanted, change) {
  const name = node.name.value;
  const old = change.query.slice(node.loc.start, node.loc.end);
  if (!PAGING.includes(name)) return old;
  const value = wanted[name] ?? null;
  if ((valueFromASTUntyped(node.value, change.scope.values) ?? null) === value) return old;
  if (node.value.kind === Kind.VARIABLE) {
    const variable = node.value.name.value;
    const isOwn = change.uses.get(variable) === countOwn(change.fields, name, variable);
    if (isOwn && (value !== null || isNullable(variable, change.scope))) {
      change.variables[variable] = value;
      return old;
    }
    if (isOwn) {
      change.dropped.add(variable);
      delete change.variables[variable];
    }
  }
  return value === null ? null : written(name, value);
}

function written(name, value) {
  return `${name}: ${JSON.stringify(value)}`;
}

/** Returns how often each variable is used. */
function countUses(document) {
  const uses = new Map();
  visit(document, {
    VariableDefinition: () => false,
    Variable: ({ name }) => void uses.set(name.value, (uses.get(name.value) ?? 0) + 1),
  });
  return uses;
}

function countOwn(fields, name, variable) {
  const isOne = (node) => node.name.value === name && node.value.name?.value === variable;
  return fields.flatMap((field) => field.arguments).filter(isOne).length;
}

function isNullable(variable, { operation }) {
  const definition = operation.variableDefinitions.find((other) => other.variable.name.value === variable);
  return definition.type.kind !== Kind.NON_NULL_TYPE;
}

/** Replaces the arguments of a field, in one line or in several as they were. */
function listEdit(query, field, texts) {
  const [first, last] = [field.arguments[0], field.arguments.at(-1)];
  const end = field.name.loc.end;
  if (!first) return { start: end, end, text: texts.length > 0 ? `(${texts.join(", ")})` : "" };
  const before = query.slice(end, first.loc.start);
  const indent = /\n([ \t]*)$/.exec(before);
  return { start: first.loc.start, end: last.loc.end, text: texts.join(indent ? `\n${indent[1]}` : ", ") };
}

function definitionsEdit(query, definitions, left) {
  const [start, end] = [definitions[0].loc.start, definitions.at(-1).loc.end];
  if (left.length > 0) return { start, end, text: left.map(({ loc }) => query.slice(loc.start, loc.end)).join(", ") };
  const open = query.lastIndexOf("(", start);
  return { start: query[open - 1] === " " ? open - 1 : open, end: query.indexOf(")", end) + 1, text: "" };
}
