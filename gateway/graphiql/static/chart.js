// A list of a response as bars: deployed licenses inside sold ones. All figures are shown as text too.

import { ALIAS, isPresent } from "./answer.js";
import { formatNumber } from "./table.js";

const { createElement: h, Fragment } = window.React;

const MAX_BARS = 20;
// More columns would make labels too long; the table has all of them.
const MAX_LABEL_COLUMNS = 3;
const GUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/**
 * Returns the chart of `list`: its `measures` (names of columns, sold before deployed), the `labels` (names of
 * columns) and the `bars` ({label, values}), highest first. There are no measures if the list has neither column.
 */
export function planChart(list) {
  const measures = [/sold/i, /deployed/i].flatMap((pattern) => {
    const column = list.columns.find(({ name, isNumber }) => isNumber && pattern.test(name));
    return column ? [column.name] : [];
  });
  const labels = labelColumns(list);
  const bars = highestFirst(list, labels, measures[0]).slice(0, MAX_BARS).map((row) => ({
    label: labels.map((name) => row[name] ?? "–").join(" · "),
    values: measures.map((name) => row[name] ?? null),
  }));
  return { measures, labels, bars };
}

/** Groups the rows: rows of joined lists that differ only in their list form one group. */
function highestFirst({ rows, isJoined }, labels, measure) {
  const others = labels.filter((name) => name !== ALIAS);
  const keyOf = (row) => (isJoined ? others.map((name) => row[name]).join("\n") : row);
  const highest = new Map();
  for (const row of rows) highest.set(keyOf(row), Math.max(row[measure] ?? 0, highest.get(keyOf(row)) ?? 0));
  return [...rows].sort((a, b) => highest.get(keyOf(b)) - highest.get(keyOf(a)));
}

/** Returns the first text columns that distinguish rows; dates, ids and constant columns only if there are no others. */
function labelColumns({ rows, columns }) {
  const texts = columns.filter(({ name }) => rows.some((row) => typeof row[name] === "string"));
  const varied = texts.filter(({ name, isDate }) => !isDate && new Set(rows.map((row) => row[name])).size > 1);
  const readable = varied.filter(({ name }) => !rows.some((row) => GUID.test(row[name])));
  const chosen = [readable, varied, texts].find((candidates) => candidates.length > 0) ?? [];
  return chosen.slice(0, MAX_LABEL_COLUMNS).map(({ name }) => name);
}

export function Chart({ list }) {
  const { measures, labels, bars } = planChart(list);
  if (measures.length === 0) {
    return h("p", { className: "message" }, "Bars need numbers: select licensesSold and licensesDeployed.");
  }
  const isPart = list.totalCount > list.rows.length;
  const highest = Math.max(...bars.flatMap(({ values }) => values));
  const isCut = list.rows.length > bars.length;
  const among = isPart ? ` among the ${formatNumber(list.rows.length)} rows here` : "";
  return h(
    Fragment,
    null,
    h(Legend, { measures, labels }),
    isPart && h("p", { className: "message part" }, describePart(list)),
    h(
      "ol",
      { className: "bars" },
      bars.map((bar, index) => h(Bar, { key: index, ...bar, highest, measures })),
    ),
    isCut && h("p", { className: "message" }, `The ${MAX_BARS} highest ${measures[0]}${among}; the table has all.`),
  );
}

/** Says if rows are missing: a chart sorted by height would otherwise look like the highest of all rows. */
function describePart({ rows, totalCount }) {
  const count = `${formatNumber(rows.length)} of ${formatNumber(totalCount)}`;
  return `These are ${count} rows in the report's order, not the largest.`;
}

function Legend({ measures, labels }) {
  const keys = measures.map((name) => h("span", { key: name, className: `legend ${kind(name)}` }, name)).reverse();
  return h(
    "p",
    { className: "bar-text legends" },
    h("span", null, labels.join(" · ")),
    h("span", null, join(keys, " of ")),
  );
}

function Bar({ label, values, highest, measures }) {
  return h(
    "li",
    null,
    h("p", { className: "bar-text" }, h("span", null, label), h("span", { className: "figures" }, describe(values))),
    h(
      "svg",
      { width: "100%", height: 16, "aria-hidden": true, focusable: false },
      values.map((value, index) => {
        const inset = kind(measures[index]) === "sold" ? 0 : 4;
        const width = `${share(value, highest)}%`;
        return h("rect", {
          key: index,
          className: kind(measures[index]),
          y: inset,
          width,
          height: 16 - 2 * inset,
          rx: 2,
        });
      }),
    ),
  );
}

function kind(measure) {
  return /sold/i.test(measure) ? "sold" : "deployed";
}

/** Returns, for example, "875,984 of 1,208,808 · 72%"; without the share if nothing was sold. */
function describe(values) {
  const text = values
    .map((value) => (value === null ? "–" : formatNumber(value)))
    .reverse()
    .join(" of ");
  const [sold, deployed] = values;
  return sold > 0 && isPresent(deployed) ? `${text} · ${percentage(deployed, sold)}` : text;
}

/** Returns a share in whole percent; a partial share is never rounded to 0 or 100. */
function percentage(part, whole) {
  const rounded = Math.round((100 * part) / whole);
  if (rounded === 0 && part > 0) return "<1%";
  if (rounded === 100 && part !== whole) return part < whole ? ">99%" : ">100%";
  return `${rounded}%`;
}

function share(value, highest) {
  return highest > 0 && value > 0 ? (100 * value) / highest : 0;
}

function join(elements, separator) {
  return elements.flatMap((element, index) => (index === 0 ? [element] : [separator, element]));
}
