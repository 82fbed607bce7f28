// Finds what can be looked at in an answer: lists of rows, wherever they stand and whatever their aliases.

const DATE = /^\d{4}-\d\d-\d\d(T|$)/;

// The column that tells the lists of one question apart, where they stand in one.
export const ALIAS = "alias";

/**
 * Reads the text of the result pane. `isRead` is false where it is no JSON object; `problems` ({code, message,
 * isWarning}) are GraphQL's errors and the gateway's warnings; each of `lists` has a `name` (its path in the answer),
 * `rows` (flat objects), `columns` ({name, isNumber, isDate}) and `totalCount` (null where the answer does not tell).
 */
export function readAnswer(text) {
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    answer = null;
  }
  if (!isObject(answer)) return { isRead: false, problems: [], lists: [] };
  const errors = objectsIn(answer.errors).map(({ message, extensions }) => ({ code: extensions?.code, message }));
  const warnings = objectsIn(answer.extensions?.warnings).map((warning) => ({ ...warning, isWarning: true }));
  const lists = isObject(answer.data) ? findLists(answer.data, []) : [];
  return { isRead: true, problems: [...errors, ...warnings], lists: [...joinLists(lists), ...lists] };
}

function objectsIn(value) {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/** The lists of rows in and below `parent`; a connection asked for both nodes and edges has two. */
function findLists(parent, path) {
  const entries = Object.entries(parent);
  const own = entries.filter(([, value]) => Array.isArray(value) && value.every(isObject));
  const lists = own.map(([key, items]) => {
    const isAlone = own.length === 1 && path.length > 0;
    return { ...describeList((isAlone ? path : [...path, key]).join("."), items, parent.totalCount), isAlone };
  });
  const deeper = entries.filter(([, value]) => isObject(value));
  return [...lists, ...deeper.flatMap(([key, value]) => findLists(value, [...path, key]))];
}

/** Several connections with the same columns, such as one question at two dates, as one list to compare them in. */
function joinLists(lists) {
  const namesOf = ({ columns }) => columns.map(({ name }) => name).join();
  const isAlike = (list) => list.isAlone && list.rows.length > 0 && namesOf(list) === namesOf(lists[0]);
  if (lists.length < 2 || !lists.every(isAlike)) return [];
  const rows = lists.flatMap(({ name, rows }) => rows.map((row) => ({ [ALIAS]: name, ...row })));
  const totalCount = lists.reduce((sum, list) => sum + (list.totalCount ?? NaN), 0);
  const name = lists.map((list) => list.name).join(" + ");
  return [{ ...describeList(name, rows, Number.isNaN(totalCount) ? null : totalCount), isJoined: true }];
}

function describeList(name, items, totalCount) {
  const rows = items.map(flatten);
  const names = [...new Set(rows.flatMap(Object.keys))];
  const columns = names.map((column) => describeColumn(rows, column));
  return { name, rows, columns, totalCount: typeof totalCount === "number" ? totalCount : null };
}

/** An edge gives the fields of its node and leaves its cursor out; anything else gives its own. */
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

/** Whether a cell holds anything: null is a dimension that was not grouped by, undefined a field that is not there. */
export function isPresent(value) {
  return value !== null && value !== undefined;
}

/** A cell's value as text, numbers as programs read them. */
export function plainText(value) {
  if (!isPresent(value)) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
