// A list of a response as bars: deployed licenses inside sold ones. All figures are shown as text too.

import { isPresent } from "./answer.js";
import { MAX_BARS, overdeployed, planChart } from "./bars.js";
import { formatNumber, formatShare, join } from "./numbers.js";

const { createElement: h, Fragment } = window.React;

const HEIGHT = 16;
// The frame of sold licenses is this much higher than the segments inside it, at each edge.
const INSET = 4;
const HATCHING = "over-hatching";

export function Chart({ list, isOrdered }) {
  const { columns, primary, labels, bars } = planChart(list, isOrdered);
  if (primary === undefined) {
    return h("p", { className: "message" }, "Bars need numbers: select licensesSold and licensesDeployed.");
  }
  const isPart = list.totalCount > list.rows.length;
  const segments = bars.flatMap((bar) => bar.segments);
  // A rate's scale reaches at least 100 %.
  const highest = Math.max(primary === "rate" ? 1 : 0, ...segments.map(({ end }) => end));
  const isCut = list.rows.length > bars.length;
  const among = isPart ? ` among the ${formatNumber(list.rows.length)} rows here` : "";
  const first = isOrdered ? `The first ${MAX_BARS} rows here` : `The ${MAX_BARS} highest ${columns[primary]}${among}`;
  return h(
    Fragment,
    null,
    h(Legend, { columns, labels, hasOver: segments.some(({ measure }) => measure === "over") }),
    isPart && h("p", { className: "message part" }, describePart(list, isOrdered)),
    h(
      "ol",
      { className: "bars" },
      bars.map((bar, index) => h(Bar, { key: index, ...bar, highest })),
    ),
    isCut && h("p", { className: "message" }, `${first}; the table has all.`),
  );
}

/** Says if rows are missing: a chart sorted by height would otherwise look like the highest of all rows. */
function describePart({ rows, totalCount }, isOrdered) {
  const count = `${formatNumber(rows.length)} of ${formatNumber(totalCount)}`;
  if (isOrdered) return `These are ${count} rows, in the query's order.`;
  return `These are ${count} rows in the report's order, not the largest.`;
}

function Legend({ columns, labels, hasOver }) {
  const key = (measure, name = columns[measure]) => h("span", { key: measure, className: `legend ${measure}` }, name);
  const pair = join(["deployed", "sold"].filter((measure) => measure in columns).map((measure) => key(measure)), " of ");
  const isRate = pair.length === 0 && !("unassigned" in columns || "over" in columns);
  const keys = [
    pair,
    "unassigned" in columns && key("unassigned"),
    hasOver && key("over", columns.over ?? "deployed beyond sold"),
    isRate && key("rate"),
  ].filter((part) => part && part.length !== 0);
  return h(
    "p",
    { className: "bar-text legends" },
    h("span", null, labels.join(" · ")),
    h("span", null, join(keys, " · ").flat()),
    hasOver && h(Hatching),
  );
}

/** The pattern of over-deployed licenses, which differ in more than color. */
function Hatching() {
  const pattern = { id: HATCHING, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" };
  return h(
    "svg",
    { className: "hatching", width: 0, height: 0, "aria-hidden": true, focusable: false },
    h(
      "pattern",
      pattern,
      h("rect", { className: "over-ground", width: 6, height: 6 }),
      h("rect", { className: "over-stripe", width: 2.5, height: 6 }),
    ),
  );
}

function Bar({ label, values, segments, highest }) {
  return h(
    "li",
    null,
    h("p", { className: "bar-text" }, h("span", null, label), h("span", { className: "figures" }, figures(values))),
    h(
      "svg",
      { width: "100%", height: HEIGHT, "aria-hidden": true, focusable: false },
      segments.map(({ measure, start, end }) =>
        h("rect", {
          key: measure,
          className: measure,
          fill: measure === "over" ? `url(#${HATCHING})` : undefined,
          x: `${share(start, highest)}%`,
          y: measure === "sold" ? 0 : INSET,
          width: `${share(end - start, highest)}%`,
          height: HEIGHT - (measure === "sold" ? 0 : 2 * INSET),
          rx: 2,
        }),
      ),
    ),
  );
}

/** Shows, for example, "875,984 of 1,208,808 · 72% · 332,824 unassigned"; without a share if nothing was sold. */
function figures(values) {
  const { sold, deployed, rate, unassigned } = values;
  const counts = [deployed, sold].filter((value) => value !== undefined);
  const over = overdeployed(values);
  const texts = [
    counts.map(formatted).join(" of "),
    isPresent(rate) ? formatShare(rate) : sold > 0 && isPresent(deployed) && formatShare(deployed / sold),
    unassigned !== undefined && `${formatted(unassigned)} unassigned`,
    over > 0 && `${formatNumber(over)} over-deployed`,
  ].filter(Boolean);
  return join(
    texts.map((text, index) => h("span", { key: index }, text)),
    " · ",
  );
}

function formatted(value) {
  return value === null ? "–" : formatNumber(value);
}

function share(value, highest) {
  return highest > 0 && value > 0 ? (100 * value) / highest : 0;
}
