// What the labels and segments of the bars mean.

import { describeComputed, markedName } from "./columns.js";
import { keyword } from "./measures.js";
import { join } from "./numbers.js";

const { createElement: h } = window.React;

export const HATCHING = "over-hatching";

function key(measure, name, title) {
  return h("span", { key: measure, className: `legend ${measure}`, title }, name);
}

function keyOf(column) {
  return key(column.measure, markedName(column), describeComputed(column));
}

/** Returns the keys of the bars of two lists. */
export function comparedKeys({ sides }) {
  return join([key("earlier", sides[0]), key("later", sides[1])], " · ");
}

/** Returns the keys of the segments, with the names of their columns. */
export function measureKeys(columns, hasOver, isRate) {
  if (isRate) return keyOf(columns.rate);
  const pair = join(
    ["deployed", "sold"].filter((measure) => measure in columns).map((measure) => keyOf(columns[measure])),
    " of ",
  );
  const keys = [
    pair,
    "unassigned" in columns && keyOf(columns.unassigned),
    hasOver && key("over", columns.over?.name ?? `${keyword(columns.deployed.name)} beyond ${keyword(columns.sold.name)}`),
  ].filter((part) => part && part.length !== 0);
  return join(keys, " · ").flat();
}

/** The line at the top of the chart: the columns of its labels, and the keys. */
export function Legend({ keys, labels, hasOver }) {
  return h(
    "p",
    { className: "bar-text legends" },
    h("span", null, labels.join(" · ")),
    h("span", null, keys),
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
