// A list of a response as bars: deployed licenses inside sold ones. All figures are shown as text too.

import { overdeployed, planChart } from "./bars.js";
import { isPresent, shownText } from "./cells.js";
import { describePart } from "./headline.js";
import { comparedKeys, HATCHING, Legend, measureKeys } from "./legend.js";
import { DATASETS, datasetOf, keyword } from "./measures.js";
import { counted, formatLabelShare, formatNumber, join } from "./numbers.js";

const { createElement: h, Fragment, useMemo, useRef } = window.React;

const HEIGHT = 16;
// The frame of sold licenses is this much higher than the segments inside it, at each edge.
const INSET = 4;

/** The chart of a list for a choice of measure (headline.js); a click on a bar picks its row (builder/drill_menu.js). */
export function Chart({ list, choice, pick }) {
  const plan = useMemo(() => choice.column && planChart(list, choice), [list, choice.value, choice.keepsOrder]);
  if (!plan) {
    const pairs = DATASETS.map(({ sold, deployed }) => `${sold} and ${deployed}`);
    return h("p", { className: "message" }, `Bars need numbers: select ${pairs.join(", or ")}.`);
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
      bars.map((bar, index) => h(Bar, { key: index, ...bar, columns, highest, compared, pick, labels })),
    ),
    isCut && h("p", { className: "message" }, `The table has all ${counted(list.rows.length, "row")} of this answer.`),
  );
}

function Bar({ row, label, values, segments, columns, highest, compared, pick, labels }) {
  const button = useRef(null);
  const texts = compared ? comparedFigures(values, compared) : figures(values, columns);
  const canPick = labels.some((name) => pick.has(name) && isPresent(row[name]));
  const open = () => pick.open(button.current, row, labels);
  const name = h("span", null, label);
  return h(
    "li",
    canPick ? { onClick: open } : null,
    h(
      "p",
      { className: "bar-text" },
      canPick ? h("button", { ref: button, type: "button", className: "pick", "aria-haspopup": "dialog" }, name) : name,
      h("span", { className: "figures" }, texts),
    ),
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

/** Shows, for example, "875,984 of 1,208,808 · 72.5% · 332,824 unassigned"; without a share if nothing was sold. */
function figures(values, columns) {
  const { sold, deployed, rate, unassigned } = values;
  const counts = [deployed, sold].filter((value) => value !== undefined);
  const over = overdeployed(values);
  const texts = [
    counts.map(formatted).join(" of "),
    isPresent(rate) ? formatLabelShare(rate) : sold > 0 && isPresent(deployed) && formatLabelShare(deployed / sold),
    unassigned !== undefined && unassignedText(unassigned, columns.unassigned),
    over > 0 && `${formatNumber(over)} ${overWords(columns)}`,
  ].filter(Boolean);
  return join(
    texts.map((text, index) => h("span", { key: index }, text)),
    " · ",
  );
}

/** Returns "over-deployed", or "beyond qualified" if the dataset has no measure of its own for it. */
function overWords({ over, sold }) {
  return over || !sold || "over" in datasetOf(sold.name) ? "over-deployed" : `beyond ${keyword(sold.name)}`;
}

function unassignedText(value, column) {
  if (column.isDifference) return `${column.name}: ${formatted(value)}`;
  return `${formatted(value)} ${column.isComputed ? "unassigned, computed" : "unassigned"}`;
}

function formatted(value) {
  return value === null ? "–" : formatNumber(value);
}

function share(value, highest) {
  return highest > 0 && value > 0 ? (100 * value) / highest : 0;
}
