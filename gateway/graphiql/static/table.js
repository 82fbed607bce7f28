// A list of a response as a table with sortable columns.

import { isPresent, plainText } from "./answer.js";
import { measureOf } from "./measures.js";
import { formatNumber, formatShare } from "./numbers.js";

const { createElement: h } = window.React;

const COLLATOR = new Intl.Collator("en", { numeric: true });
// More rows make the page slow, and nobody scrolls through them; the CSV file has all of them.
export const MAX_SHOWN_ROWS = 1000;

/** Sorts rows by `sort` ({column, isDescending}, or null for the response's order); empty cells come last. */
export function sortRows(rows, sort) {
  if (sort === null) return rows;
  const direction = sort.isDescending ? -1 : 1;
  return [...rows].sort(({ [sort.column]: a }, { [sort.column]: b }) => {
    if (!isPresent(a) || !isPresent(b)) return Number(isPresent(b)) - Number(isPresent(a));
    return direction * (typeof a === "number" && typeof b === "number" ? a - b : COLLATOR.compare(a, b));
  });
}

/** Returns the sort after a click on a header: one direction, the other, then the response's order. */
export function nextSort(sort, { name, isNumber }) {
  // People usually look for the highest numbers.
  const isFirstDescending = isNumber;
  if (sort?.column !== name) return { column: name, isDescending: isFirstDescending };
  return sort.isDescending === isFirstDescending ? { column: name, isDescending: !isFirstDescending } : null;
}

/** The table; clicking a header calls `onSort` with the next sort. */
export function Table({ list, rows, sort, onSort }) {
  const header = list.columns.map((column) => h(Header, { key: column.name, column, sort, onSort }));
  const body = rows.slice(0, MAX_SHOWN_ROWS).map((row, index) => h(Row, { key: index, row, columns: list.columns }));
  return h(
    "table",
    { "aria-rowcount": rows.length + 1 },
    h("thead", null, h("tr", null, header)),
    h("tbody", null, body),
  );
}

function Header({ column, sort, onSort }) {
  const isSorted = sort?.column === column.name;
  const state = isSorted ? (sort.isDescending ? "descending" : "ascending") : "none";
  return h(
    "th",
    { scope: "col", "aria-sort": state, className: kind(column) },
    h("button", { type: "button", onClick: () => onSort(nextSort(sort, column)) }, breakable(column.name)),
  );
}

function Row({ row, columns }) {
  return h(
    "tr",
    null,
    columns.map((column) => h("td", { key: column.name, className: kind(column) }, cell(column.name, row[column.name]))),
  );
}

function kind({ isNumber, isDate }) {
  if (isNumber) return "number";
  return isDate ? "date" : undefined;
}

/** A name that may wrap before a capital letter. */
function breakable(name) {
  return name
    .split(/(?<=[a-z])(?=[A-Z])/)
    .flatMap((word, index) => (index === 0 ? word : [h("wbr", { key: index }), word]));
}

function cell(name, value) {
  if (!isPresent(value)) return h("span", { className: "empty", role: "img", "aria-label": "no value" }, "–");
  if (typeof value !== "number") return plainText(value);
  return measureOf(name) === "rate" ? formatShare(value, 1) : formatNumber(value);
}
