// The date of a query, and its comparison with another date: then the operation has two fields, one for each date.

import { fromStart } from "./edits.js";
import { nameNode } from "./literals.js";
import { withArgument } from "./query.js";

const NAMES = ["earlier", "later"];
// The examples name the second date so.
const REMOVABLE = [...NAMES, "latest"];

/** Returns the dates of the query as YYYY-MM-DD, the earlier one first; "" is the latest. There is one for each field. */
export function datesOf(query) {
  return inOrder(query).map(({ date }) => date);
}

/** Returns the fields of the query ({date, index}) by their dates. */
function inOrder(query) {
  const [name] = query.dataset.dates;
  const dated = query.fields.map((_, index) => ({ date: dayOf(query.resolvedArgument(name, index)), index }));
  return dated.toSorted((a, b) => (a.date === b.date ? 0 : isEarlier(a.date, b.date) ? -1 : 1));
}

function dayOf(value) {
  return typeof value === "string" ? value.slice(0, "YYYY-MM-DD".length) : "";
}

function isEarlier(date, other) {
  return date !== "" && (other === "" || date < other);
}

/** Returns the query with another date; `place` is that of the date in `datesOf`. */
export function withDate(query, place, date) {
  const { index } = inOrder(query)[place];
  const [name] = query.dataset.dates;
  const variable = query.variableOf(name, index);
  if (variable !== undefined && date !== "") return fromStart(query).withVariable(variable, date);
  const changed = query.fields.map((field, at) => (at === index ? dated(query, field, date) : field));
  return fromStart(query.replacing(changed));
}

/** Returns the query with a second field for another date. */
export function comparedWith(query, date) {
  const [field] = query.fields;
  const own = NAMES.includes(field.alias?.value) ? undefined : field.alias;
  const [current] = datesOf(query);
  const names = isEarlier(date, current) ? NAMES : NAMES.toReversed();
  const other = named(dated(query, field, date), names[0]);
  const same = own ? field : named(field, names[1]);
  return fromStart(query.replacing(isEarlier(date, current) ? [other, same] : [same, other]));
}

/** Returns the query without its earlier date. */
export function uncompared(query) {
  const { index } = inOrder(query).at(-1);
  const field = query.fields[index];
  const alias = REMOVABLE.includes(field.alias?.value) ? undefined : field.alias;
  return query.replacing([{ ...field, alias }]);
}

function dated(query, field, date) {
  const [name] = query.dataset.dates;
  return withArgument(field, name, date === "" ? undefined : date, query.dataset.types[name]);
}

function named(field, alias) {
  return { ...field, alias: nameNode(alias) };
}
