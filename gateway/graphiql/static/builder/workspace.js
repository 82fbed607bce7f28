// The editors as the builder sees them: the queries in them, and how to change one.

import { replaceText } from "../editors.js";
import { datasetsOf } from "./datasets.js";
import { readQueries, withNewQuery } from "./reading.js";

/** Returns the datasets of a schema, which GraphiQL loads after the page; then they are the same each time. */
export function datasetsIn(schema) {
  if (!schema) return [];
  if (!cached.has(schema)) cached.set(schema, datasetsOf(schema));
  return cached.get(schema);
}

const cached = new WeakMap();

/** Reads the queries in the editors (reading.js), of the named operation if there is one. */
export function queriesIn({ queryEditor, variableEditor }, schema, operationName = queryEditor?.operationName) {
  const texts = { text: queryEditor?.getValue() ?? "", variablesText: variableEditor?.getValue() ?? "" };
  return readQueries({ ...texts, operationName }, datasetsIn(schema));
}

/** Writes a changed query into the editors. */
export function writeQuery({ queryEditor, variableEditor }, before, query) {
  const { text, variables } = query.written();
  replaceText(queryEditor, text);
  const isChanged = JSON.stringify(variables) !== JSON.stringify(before.variables);
  const isEmpty = Object.keys(variables).length === 0;
  if (isChanged) replaceText(variableEditor, isEmpty ? "" : JSON.stringify(variables, null, 2));
}

/** Adds a query of a dataset to the operation in the editor. */
export function addQuery({ queryEditor }, operation, dataset) {
  replaceText(queryEditor, withNewQuery(queryEditor.getValue(), operation, dataset));
}
