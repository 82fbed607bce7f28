// Finds the lists of rows and the totals in a response, at any path and under any alias.

import { measureOf } from "./measures.js";

const DATE = /^\d{4}-\d\d-\d\d(T|$)/;

// The column that distinguishes joined lists of one query.
export const ALIAS = "alias";

/**
 * Parses the text of the result pane. `isRead` is false if it is not a JSON object. `problems` ({code, message,
 * progress, isWarning}) are GraphQL's errors and the gateway's warnings. `cost` is the operation's, if the response
 * has it. Each of `totals` has a `name` (the path of its connection) and `values`. Each of `lists` has a `name` (its
 * path in the response), its `keys` (first parts of that path), `rows` (flat objects), `columns` ({name, isNumber,
 * isDate}) and `totalCount` (null if the response has none).
 */
export function readAnswer(text) {
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    answer = null;
  }
  if (!isObject(answer)) return { isRead: false, problems: [], lists: [], totals: [] };
  const errors = objectsIn(answer.errors).map(({ message, extensions }) => ({
    code: extensions?.code,
    message,
    progress: extensions?.progress,
  }));
  const warnings = objectsIn(answer.extensions?.warnings).map((warning) => ({ ...warning, isWarning: true }));
  const data = isObject(answer.data) ? answer.data : {};
  const lists = findLists(data, []);
  return {
    isRead: true,
    problems: [...errors, ...warnings],
    cost: answer.extensions?.cost,
    totals: findTotals(data, []),
    lists: [...joinLists(lists), ...lists],
  };
}

function objectsIn(value) {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/** Returns the lists of rows in and below `parent`; a connection with both nodes and edges has two. */
function findLists(parent, path) {
  const entries = Object.entries(parent);
  const own = entries.filter(([, value]) => Array.isArray(value) && value.every(isObject));
  const lists = own.map(([key, items]) => {
    const isAlone = own.length === 1 && path.length > 0;
    const list = describeList((isAlone ? path : [...path, key]).join("."), items, parent.totalCount);
    return { ...list, keys: [path[0] ?? key], isAlone };
  });
  const deeper = entries.filter(([, value]) => isObject(value));
  return [...lists, ...deeper.flatMap(([key, value]) => findLists(value, [...path, key]))];
}

/** Returns the totals below `parent`: objects of numbers, outside lists, with the name of a measure. */
function findTotals(parent, path) {
  return Object.entries(parent)
    .filter(([, value]) => isObject(value))
    .flatMap(([key, value]) =>
      path.length > 0 && areTotals(value) ? [{ name: path.join("."), values: value }] : findTotals(value, [...path, key]),
    );
}

function areTotals(value) {
  const entries = Object.entries(value).filter(([key]) => key !== "__typename");
  const areNumbers = entries.every(([, item]) => item === null || typeof item === "number");
  return areNumbers && entries.some(([key]) => measureOf(key) !== undefined);
}

/** Joins connections with the same columns, such as one query at two dates, into one list for comparison. */
function joinLists(lists) {
  const namesOf = ({ columns }) => columns.map(({ name }) => name).join();
  const isAlike = (list) => list.isAlone && list.rows.length > 0 && namesOf(list) === namesOf(lists[0]);
  if (lists.length < 2 || !lists.every(isAlike)) return [];
  const rows = lists.flatMap(({ name, rows }) => rows.map((row) => ({ [ALIAS]: name, ...row })));
  const totalCount = lists.reduce((sum, list) => sum + (list.totalCount ?? NaN), 0);
  const name = lists.map((list) => list.name).join(" + ");
  const list = describeList(name, rows, Number.isNaN(totalCount) ? null : totalCount);
  return [{ ...list, keys: lists.flatMap(({ keys }) => keys), isJoined: true }];
}

function describeList(name, items, totalCount) {
  const rows = items.map(flatten);
  const names = [...new Set(rows.flatMap(Object.keys))];
  const columns = names.map((column) => describeColumn(rows, column));
  return { name, rows, columns, totalCount: typeof totalCount === "number" ? totalCount : null };
}

/** Returns the fields of an edge's node without the cursor; for other objects their own fields. */
function flatten(item) {
  const nested = Object.values(item).filter(isObject);
  return nested.length === 0 ? item : Object.fromEntries(nested.flatMap((node) => Object.entries(flatten(node))));
}

function describeColumn(rows, name) {
  const values = rows.map((row) => row[name]).filter(isPresent);
  const every = (test) => values.length > 0 && values.every(test);
  return { name, isNumber: every((value) => typeof value === "number"), isDate: every((value) => DATE.test(value)) };
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** Returns whether a cell has a value. A dimension outside the grouping is null; a missing field is undefined. */
export function isPresent(value) {
  return value !== null && value !== undefined;
}

/** Returns a cell's value as text, with numbers in machine-readable form. */
export function plainText(value) {
  if (!isPresent(value)) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
