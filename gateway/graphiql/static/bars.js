// What the chart of a list shows: which rows, their labels, and the segments of each bar.

import { ALIAS, isPresent } from "./answer.js";
import { measureOf, MEASURES } from "./measures.js";

export const MAX_BARS = 20;
// More columns would make labels too long; the table has all of them.
const MAX_LABEL_COLUMNS = 3;
const GUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/**
 * Returns the chart of `list`: `columns` maps its measures to the names of their columns, `primary` is the measure that
 * the bars are sorted by, `labels` are the names of the columns that label them. Each of `bars` has a `label`, the
 * `values` of its measures and `segments` ({measure, start, end}). With `isOrdered`, they keep the list's order,
 * otherwise the highest come first. A list without measures has no `primary`.
 */
export function planChart(list, isOrdered) {
  const columns = measureColumns(list);
  const primary = MEASURES.find((measure) => measure in columns);
  const labels = labelColumns(list);
  const bars = arranged(list, labels, columns[primary], isOrdered).slice(0, MAX_BARS).map((row) => {
    const values = Object.fromEntries(Object.entries(columns).map(([measure, name]) => [measure, row[name] ?? null]));
    const label = labels.map((name) => row[name] ?? "–").join(" · ");
    return { label, values, segments: primary === "rate" ? [rateSegment(values)] : countSegments(values) };
  });
  return { columns, primary, labels, bars };
}

/** Returns the first column of each measure. */
function measureColumns({ columns }) {
  const numbers = columns.filter(({ name, isNumber }) => isNumber && measureOf(name) !== undefined);
  return Object.fromEntries(numbers.map(({ name }) => [measureOf(name), name]).reverse());
}

/** Keeps groups together: rows of joined lists that differ only in their list form one group. */
function arranged({ rows, isJoined }, labels, column, isOrdered) {
  const others = labels.filter((name) => name !== ALIAS);
  const groups = new Map();
  for (const row of rows) {
    const key = isJoined ? others.map((name) => row[name]).join("\n") : row;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(row);
  }
  const arranged = [...groups.values()];
  const highest = (group) => Math.max(...group.map((row) => row[column] ?? 0));
  if (!isOrdered) arranged.sort((a, b) => highest(b) - highest(a));
  return arranged.flat();
}

/** Returns the first text columns that distinguish rows; dates, ids and constant columns only if there are no others. */
function labelColumns({ rows, columns }) {
  const texts = columns.filter(({ name }) => rows.some((row) => typeof row[name] === "string"));
  const varied = texts.filter(({ name, isDate }) => !isDate && new Set(rows.map((row) => row[name])).size > 1);
  const readable = varied.filter(({ name }) => !rows.some((row) => GUID.test(row[name])));
  const chosen = [readable, varied, texts].find((candidates) => candidates.length > 0) ?? [];
  return chosen.slice(0, MAX_LABEL_COLUMNS).map(({ name }) => name);
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
  return Math.max(0, deployed - Math.max(0, sold - (unassigned ?? 0)));
}
