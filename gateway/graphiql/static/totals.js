// A line of totals for each connection of a response that has them.

import { keyword, measureOf, MEASURES } from "./measures.js";
import { formatNumber, formatShare, join } from "./numbers.js";

const { createElement: h } = window.React;

/** The lines; each begins with its connection's name if there are several. */
export function Totals({ totals }) {
  return totals.map(({ name, values }) =>
    h(
      "p",
      { key: name, className: "totals" },
      h("strong", null, totals.length > 1 ? name : "Total"),
      " ",
      join(describeTotals(values), " · "),
    ),
  );
}

/** Returns, for example, "Sold 1,369,832", "Deployed 1,015,157" and "Deployment 74%". */
function describeTotals(values) {
  const entries = Object.entries(values).filter(([key]) => key !== "__typename");
  const order = [...MEASURES, undefined];
  const rank = ([key]) => order.indexOf(measureOf(key));
  return entries
    .sort((a, b) => rank(a) - rank(b))
    .map(([key, value]) => h("span", { key }, `${labelOf(key)} ${describe(measureOf(key), value)}`));
}

function labelOf(key) {
  if (measureOf(key) === undefined) return key;
  const word = keyword(key);
  return word[0].toUpperCase() + word.slice(1);
}

function describe(measure, value) {
  if (value === null) return "unknown";
  return measure === "rate" ? formatShare(value) : formatNumber(value);
}
