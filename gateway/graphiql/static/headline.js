// The line above the chart: which rows it shows, by which measure. It is true for any part of the rows.

import { describeComputed } from "./columns.js";
import { inWords } from "./measures.js";
import { counted, formatNumber } from "./numbers.js";

const { createElement: h } = window.React;

const ORDER = "";

/**
 * Returns what the rows are measured by: the `column`, the `options` for it and the `value` among them. `keepsOrder` if
 * the rows stay as they are. `order` is that of the query (operation.js), undefined if it has none. `wanted` is the
 * user's choice, null before the first one.
 */
export function chooseMeasure({ numbers, order, wanted }) {
  const inOrder = order?.isDescending && order.isFromStart && numbers.find((column) => isOrderOf(order, column));
  // Two dates are compared by what the query orders them by.
  const compared = order?.isDescending && order.isOfBothDates && numbers.find((column) => isOrderOf(order, column));
  const ofOrder = order && !inOrder ? [{ value: ORDER, text: "the query's order" }] : [];
  const options = [...ofOrder, ...numbers.map((column) => ({ value: column.name, text: textOf(column), title: describeComputed(column) }))];
  const preferred = order ? ((inOrder || compared)?.name ?? ORDER) : options[0]?.value;
  const value = options.some((option) => option.value === wanted) ? wanted : preferred;
  const column = numbers.find(({ name }) => name === value) ?? numbers[0];
  const isTop = Boolean(inOrder) && value === inOrder.name;
  return { column, options, value, isTop, keepsOrder: isTop || value === ORDER, order };
}

function isOrderOf({ measure }, column) {
  return column.measure === measure && !column.isComputed;
}

function textOf({ name, measure, isComputed, isDifference, fields }) {
  if (isDifference) return name;
  if (isComputed) return `${inWords(fields[measure])}, computed`;
  return measure ? inWords(name) : name;
}

/** The line, with the choice of measure in it. */
export function Headline({ list, shownCount, choice, onChoose }) {
  const { options, value } = choice;
  const select = h(
    "select",
    { "aria-label": "Measure", title: options.find((option) => option.value === value)?.title, value, onChange: (event) => onChoose(event.target.value) },
    options.map((option) => h("option", { key: option.value, value: option.value, title: option.title }, option.text)),
  );
  const compared = list.totalCount === null ? "Compared in this answer:" : "Compared:";
  const start = shownCount === null ? compared : startOf(list, shownCount, choice);
  return h("p", { className: "headline" }, start, " ", select);
}

function startOf({ rows, totalCount }, shownCount, { isTop, value, order }) {
  const [shown, here] = [formatNumber(shownCount), formatNumber(rows.length)];
  const isWhole = totalCount !== null && totalCount <= rows.length;
  const of = totalCount === null ? "" : ` of ${formatNumber(totalCount)}`;
  const word = value === ORDER ? "in" : "by";
  if (isWhole && shownCount === rows.length) return `${counted(shownCount, "row")} ${word}`;
  if (value === ORDER) return `${order.isFromStart ? `First ${shown}` : shown}${of} in`;
  if (isWhole || isTop) return `Top ${shown}${of} by`;
  if (shownCount === rows.length) return rows.length === 1 ? "The row here by" : `The ${here} rows here by`;
  return `Top ${shown} of the ${here} rows here by`;
}

/** Says which rows are missing: bars sorted by height would otherwise look like the highest of all rows. */
export function describePart({ rows, totalCount, comparison }, { isTop, value, order }) {
  if (comparison && totalCount === null) return "Rows outside this answer are not compared.";
  if (totalCount === null || totalCount <= rows.length || isTop || value === ORDER) return "";
  const by = order ? "the query's" : "the report's";
  const count = `${formatNumber(rows.length)} of ${counted(totalCount, "row")}`;
  return `This answer has ${count}, in ${by} order: higher ones may be among the others.`;
}
