// Finds the queries of datasets in the text of the editors.

import { fieldNode } from "./selection.js";
import { likeness, Query, withArgument } from "./query.js";
import { withField } from "./text.js";

const { GraphQLError, Kind, parse, print } = window.GraphiQL.GraphQL;

// A new query is small enough to read, and large enough for a chart.
const FIRST = 20;
const MEASURES = 2;

/**
 * Reads the editors' texts. Returns {queries, operation}, or {problem, isEmpty, operation}: `problem` is a sentence on
 * why there is no query. `isEmpty` if the text has nothing but comments.
 */
export function readQueries({ text, variablesText, operationName }, datasets) {
  let document;
  try {
    document = parse(text);
  } catch (error) {
    return { queries: [], ...describeSyntax(text, error) };
  }
  const operations = document.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  const operation = operations.find(({ name }) => name?.value === operationName) ?? operations[0];
  if (!operation) return { queries: [], problem: "The text has no operation." };
  const variables = readVariables(variablesText);
  if (variables === null) {
    return { queries: [], problem: "The variables are not a JSON object. Correct them, and the builder goes on." };
  }
  const queries = queriesOf(document, operation, text, datasets, variables);
  const problem = queries.length > 0 ? null : "The operation has no field that the builder knows.";
  return { queries, operation, problem };
}

function describeSyntax(text, error) {
  const isEmpty = text.replace(/#.*/g, "").trim() === "";
  if (isEmpty) return { isEmpty, problem: "The operation is empty." };
  const line = error instanceof GraphQLError ? error.locations?.[0]?.line : undefined;
  const place = line === undefined ? "" : ` in line ${line}`;
  return { problem: `The operation has a syntax error${place}. Correct it, and the builder goes on.` };
}

/** Returns the values of variables, or null if the text is no JSON object. */
function readVariables(text) {
  if (text.trim() === "") return {};
  try {
    const values = JSON.parse(text);
    return values !== null && typeof values === "object" && !Array.isArray(values) ? values : null;
  } catch {
    return null;
  }
}

function queriesOf(document, operation, text, datasets, variables) {
  const fragments = new Map(
    document.definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION).map((each) => [each.name.value, each]),
  );
  const definitions = new Map((operation.variableDefinitions ?? []).map((each) => [each.variable.name.value, each]));
  const groups = new Map();
  for (const field of operation.selectionSet.selections) {
    const dataset = datasets.find(({ name }) => field.kind === Kind.FIELD && name === field.name.value);
    if (!dataset) continue;
    const key = likeness(field, dataset);
    if (!groups.has(key)) groups.set(key, { dataset, nodes: [] });
    groups.get(key).nodes.push(field);
  }
  const source = { text, operation, fragments, definitions };
  return [...groups.values()].map(({ dataset, nodes }) => new Query(dataset, { ...source, nodes }, nodes, variables));
}

/** Returns the text with a new query of a dataset: in the operation, or as one of its own behind the comments. */
export function withNewQuery(text, operation, dataset) {
  const field = newField(dataset);
  if (operation) return withField(text, operation, field);
  const selectionSet = { kind: Kind.SELECTION_SET, selections: [field] };
  const added = print({ kind: Kind.OPERATION_DEFINITION, operation: "query", selectionSet });
  return `${text.trimEnd()}${text.trim() === "" ? "" : "\n"}${added}\n`;
}

/** Returns a field for the first rows of a dataset, with their names and some of their measures. */
export function newField({ name, types, dimensions, measures }) {
  const named = dimensions.filter((dimension) => /name$/i.test(dimension.name));
  const shown = [...(named.length > 0 ? named : dimensions), ...measures.slice(0, MEASURES)];
  const field = fieldNode(name, ["totalCount"]);
  field.selectionSet.selections.push(fieldNode("nodes", shown.map((each) => each.name)));
  return withArgument(field, "first", FIRST, types.first);
}
