// What the chart of a list shows: which rows, their labels, and the segments of each bar.

import { ALIAS } from "./answer.js";
import { isPresent } from "./cells.js";
import { labelColumns, labelsOf } from "./labels.js";
import { MEASURES } from "./measures.js";
import { sortRows } from "./sorting.js";

export const MAX_BARS = 20;

/**
 * Returns the chart of `list` for a choice (headline.js): `columns` maps its measures to their columns,
 * `labels` are the names of the columns that label its bars. Each of `bars` has a `label`, its `row`, the `values`
 * of its measures and `segments` ({measure, start, end}).
 */
export function planChart(list, choice) {
  const { compared } = list;
  const columns = compared ? {} : shownMeasures(list, choice.column);
  const rows = arranged(list, choice).slice(0, MAX_BARS);
  const labels = labelColumns(list, rows);
  const texts = labelsOf(rows, labels);
  const bars = rows.map((row, index) => {
    if (compared) return { row, label: texts[index], ...comparedBar(row, compared) };
    const values = Object.fromEntries(Object.entries(columns).map(([measure, { name }]) => [measure, row[name] ?? null]));
    const segments = choice.column.measure === "rate" ? [rateSegment(values)] : countSegments(values);
    return { row, label: texts[index], values, segments };
  });
  return { columns, labels: labels.map(({ name }) => name), bars };
}

/** Returns the first column of each measure, in the order in which people read them; computed ones come last. */
export function measureColumns({ columns }) {
  const first = MEASURES.map((measure) => columns.find((column) => column.measure === measure)).filter(Boolean);
  const isComputed = (column) => Boolean(column.isComputed);
  return [...first.filter((column) => !isComputed(column)), ...first.filter(isComputed)];
}

/** Returns the columns in a bar's figures: the answer's, and a computed one only if it is chosen. */
function shownMeasures(list, chosen) {
  const shown = measureColumns(list).filter((column) => !column.isComputed || column === chosen);
  return Object.fromEntries(shown.map((column) => [column.measure, column]));
}

/** Returns the rows, the highest first unless they keep their order. */
function arranged(list, { column, keepsOrder }) {
  if (list.compared) return keepsOrder ? list.rows : byHighest(list.rows, list.compared.sides);
  if (!list.isJoined) return keepsOrder ? list.rows : sortRows(list.rows, { column: column.name, isDescending: true });
  return groups(list, keepsOrder ? null : column.name);
}

/** Returns the rows of joined lists, those that differ only in their list together. */
function groups({ rows, columns }, column) {
  const others = columns.filter(({ name, isNumber }) => name !== ALIAS && !isNumber);
  const groupByKey = new Map();
  for (const row of rows) {
    const key = JSON.stringify(others.map(({ name }) => row[name] ?? null));
    if (!groupByKey.has(key)) groupByKey.set(key, []);
    groupByKey.get(key).push(row);
  }
  const found = [...groupByKey.values()];
  const highest = (group) => Math.max(...group.map((row) => row[column] ?? 0));
  if (column !== null) found.sort((a, b) => highest(b) - highest(a));
  return found.flat();
}

function byHighest(rows, sides) {
  const highest = (row) => Math.max(...sides.map((side) => row[side] ?? 0));
  return rows.toSorted((a, b) => highest(b) - highest(a));
}

function comparedBar(row, { sides, change }) {
  const [earlier, later] = sides.map((side) => row[side]);
  const end = (value) => Math.max(0, value ?? 0);
  const segments = [
    { measure: "earlier", start: 0, end: end(earlier) },
    { measure: "later", start: 0, end: end(later) },
  ];
  return { values: { earlier, later, change: row[change] }, segments };
}

/** A rate has a scale of its own, because it cannot be compared with counts. Beside counts, it is text alone. */
function rateSegment({ rate }) {
  return { measure: "rate", start: 0, end: Math.max(0, rate ?? 0) };
}

/**
 * Returns the segments of counts: sold as a frame; inside it the deployed licenses, then the unassigned ones; behind it
 * the over-deployed ones. So a group shows both, even if they cancel each other out in its sums.
 */
function countSegments(values) {
  const beyond = overdeployed(values);
  const inside = Math.max(0, (values.deployed ?? 0) - beyond);
  const unassigned = Math.max(0, values.unassigned ?? 0);
  const end = isPresent(values.sold) ? Math.max(0, values.sold) : inside + unassigned;
  return [
    { measure: "sold", start: 0, end: isPresent(values.sold) ? end : 0 },
    { measure: "deployed", start: 0, end: inside },
    { measure: "unassigned", start: Math.max(0, end - unassigned), end },
    { measure: "over", start: end, end: end + beyond },
  ].filter(({ measure, start, end }) => (measure === "over" ? end > start : measure in values));
}

/** Returns the licenses deployed beyond those sold: the row's own number, or derived from its others. */
export function overdeployed({ sold, deployed, unassigned, over }) {
  if (isPresent(over)) return Math.max(0, over);
  if (!isPresent(sold) || !isPresent(deployed)) return 0;
  return Math.max(0, deployed - Math.max(0, sold - Math.max(0, unassigned ?? 0)));
}
