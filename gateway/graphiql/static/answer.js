// Finds the lists of rows and the totals in a response, at any path and under any alias.

import { addComputed, describeColumns } from "./columns.js";
import { compareLists } from "./compare.js";
import { measureOf } from "./measures.js";

// The column that distinguishes joined lists of one query.
export const ALIAS = "alias";

/**
 * Parses the text of the result pane. `isRead` is false if it is not a JSON object. `data` is that of the response.
 * `problems` ({code, message, progress, isWarning}) are GraphQL's errors and the gateway's warnings. `cost` is the
 * operation's, if the response has it. Each of `totals` has a `name` (the path of its connection) and `values`. Each of
 * `lists` has a `name` (its path in the response), its `keys` (first parts of that path), `rows` (flat objects),
 * `columns` (those of columns.js) and `totalCount` (null if the response has none). `isGrouped` returns whether the rows
 * below a key are groups.
 */
export function readAnswer(text, isGrouped = () => true) {
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    answer = null;
  }
  if (!isObject(answer)) return { isRead: false, data: {}, problems: [], lists: [], totals: [] };
  const errors = objectsIn(answer.errors).map(({ message, extensions }) => ({
    code: extensions?.code,
    message,
    progress: extensions?.progress,
  }));
  const warnings = objectsIn(answer.extensions?.warnings).map((warning) => ({ ...warning, isWarning: true }));
  const data = isObject(answer.data) ? answer.data : {};
  const lists = findLists(data, [], isGrouped);
  return {
    isRead: true,
    data,
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
function findLists(parent, path, isGrouped) {
  const entries = Object.entries(parent);
  const own = entries.filter(([, value]) => Array.isArray(value) && value.every(isObject));
  const lists = own.map(([key, items]) => {
    const isAlone = own.length === 1 && path.length > 0;
    const root = path[0] ?? key;
    const list = describeList((isAlone ? path : [...path, key]).join("."), items, parent.totalCount, isGrouped(root));
    return { ...list, keys: [root], isAlone };
  });
  const deeper = entries.filter(([, value]) => isObject(value));
  return [...lists, ...deeper.flatMap(([key, value]) => findLists(value, [...path, key], isGrouped))];
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

/**
 * Joins connections with the same columns into one list. Two of them, such as one query at two dates, have a
 * `comparison` (compare.js) instead of `columns`.
 */
function joinLists(lists) {
  const namesOf = ({ columns }) => columns.map(({ name }) => name).join();
  const isAlike = (list) => list.isAlone && list.rows.length > 0 && namesOf(list) === namesOf(lists[0]);
  if (lists.length < 2 || !lists.every(isAlike)) return [];
  const name = lists.map((list) => list.name).join(" + ");
  const joined = { isJoined: true, keys: lists.flatMap(({ keys }) => keys) };
  const comparison = compareLists(lists);
  if (comparison) {
    const { pairs, isWhole } = comparison;
    const totalCount = isWhole.every(Boolean) ? pairs.length : null;
    return [{ ...joined, name, rows: pairs, columns: [], totalCount, comparison }];
  }
  const rows = lists.flatMap((list) => list.rows.map((row) => ({ [ALIAS]: list.name, ...row })));
  const totalCount = lists.reduce((sum, list) => sum + (list.totalCount ?? NaN), 0);
  const columns = [...describeColumns(rows.map((row) => ({ [ALIAS]: row[ALIAS] }))), ...lists[0].columns];
  return [{ ...joined, name, rows, columns, totalCount: Number.isNaN(totalCount) ? null : totalCount }];
}

function describeList(name, items, totalCount, isGrouped) {
  const rows = items.map(flatten);
  const list = addComputed({ rows, columns: describeColumns(rows) }, isGrouped);
  return { name, ...list, totalCount: typeof totalCount === "number" ? totalCount : null };
}

/** Returns the fields of an edge's node without the cursor; for other objects their own fields. */
function flatten(item) {
  const nested = Object.values(item).filter(isObject);
  return nested.length === 0 ? item : Object.fromEntries(nested.flatMap((node) => Object.entries(flatten(node))));
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
