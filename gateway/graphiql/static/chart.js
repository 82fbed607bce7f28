// A list of a response as bars: deployed licenses inside sold ones. All figures are shown as text too.

import { overdeployed, planChart } from "./bars.js";
import { isPresent, shownText } from "./cells.js";
import { describePart } from "./headline.js";
import { counted, formatNumber, formatShare, join } from "./numbers.js";

const { createElement: h, Fragment, useMemo } = window.React;

const HEIGHT = 16;
// The frame of sold licenses is this much higher than the segments inside it, at each edge.
const INSET = 4;
const HATCHING = "over-hatching";

/** The chart of a list for a choice of measure (headline.js). */
export function Chart({ list, choice }) {
  const plan = useMemo(() => choice.column && planChart(list, choice), [list, choice.value]);
  if (!plan) {
    return h("p", { className: "message" }, "Bars need numbers: select licensesSold and licensesDeployed.");
  }
  const { columns, labels, bars } = plan;
  const segments = bars.flatMap((bar) => bar.segments);
  const isRate = choice.column.measure === "rate";
  // A rate's scale reaches at least 100 %.
  const highest = Math.max(isRate ? 1 : 0, ...segments.map(({ end }) => end));
  const part = describePart(list, choice);
  const isCut = list.rows.length > bars.length;
  const hasOver = segments.some(({ measure }) => measure === "over");
  const { compared } = list;
  return h(
    Fragment,
    null,
    h(Legend, { keys: compared ? comparedKeys(compared) : measureKeys(columns, hasOver, isRate), labels, hasOver }),
    part && h("p", { className: "message part" }, part),
    h(
      "ol",
      { className: "bars" },
      bars.map((bar, index) => h(Bar, { key: index, ...bar, highest, compared })),
    ),
    isCut && h("p", { className: "message" }, `The table has all ${counted(list.rows.length, "row")} of this answer.`),
  );
}

function key(measure, name) {
  return h("span", { key: measure, className: `legend ${measure}` }, name);
}

function comparedKeys({ sides }) {
  return join([key("earlier", sides[0]), key("later", sides[1])], " · ");
}

function measureKeys(columns, hasOver, isRate) {
  if (isRate) return key("rate", columns.rate);
  const pair = join(
    ["deployed", "sold"].filter((measure) => measure in columns).map((measure) => key(measure, columns[measure])),
    " of ",
  );
  const keys = [
    pair,
    "unassigned" in columns && key("unassigned", columns.unassigned),
    hasOver && key("over", columns.over ?? "deployed beyond sold"),
  ].filter((part) => part && part.length !== 0);
  return join(keys, " · ").flat();
}

function Legend({ keys, labels, hasOver }) {
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

function Bar({ label, values, segments, highest, compared }) {
  const texts = compared ? comparedFigures(values, compared) : figures(values);
  return h(
    "li",
    null,
    h("p", { className: "bar-text" }, h("span", null, label), h("span", { className: "figures" }, texts)),
    h(
      "svg",
      { width: "100%", height: HEIGHT, "aria-hidden": true, focusable: false },
      segments.map(({ measure, start, end }) =>
        h("rect", {
          key: measure,
          className: measure,
          fill: measure === "over" ? `url(#${HATCHING})` : undefined,
          x: `${share(start, highest)}%`,
          width: `${share(end - start, highest)}%`,
          ...placeOf(measure),
          rx: 2,
        }),
      ),
    ),
  );
}

/** The bars of two dates are below each other; the other segments are inside the frame of sold licenses. */
function placeOf(measure) {
  if (measure === "earlier") return { y: 0, height: HEIGHT / 2 - 1 };
  if (measure === "later") return { y: HEIGHT / 2, height: HEIGHT / 2 - 1 };
  return measure === "sold" ? { y: 0, height: HEIGHT } : { y: INSET, height: HEIGHT - 2 * INSET };
}

/** Shows, for example, "1,000 → 1,200 · +200". */
function comparedFigures({ earlier, later, change }, { measure }) {
  const text = (value) => (isPresent(value) ? shownText(value, { measure }) : "–");
  const parts = [`${text(earlier)} → ${text(later)}`, isPresent(change) && shownText(change, { measure, isChange: true })];
  return join(
    parts.filter(Boolean).map((part, index) => h("span", { key: index }, part)),
    " · ",
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
