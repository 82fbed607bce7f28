// The line under table and chart: which rows these are, the pages before and after them, and all rows as a file.

import { formatNumber } from "./numbers.js";

const { createElement: h } = window.React;

/** The line; `pager` is from pager.js, `saving` from save_all.js, and `onSave` gets the format of a file. */
export function PageButtons({ pager, saving, onSave }) {
  const { progress, cancel } = saving;
  if (!pager && !progress) return null;
  return h(
    "div",
    { className: "pages" },
    pager && h(Turns, { pager }),
    progress ? h(Progress, { ...progress, cancel }) : onSave && h(SaveAll, { totalCount: pager.totalCount, onSave }),
  );
}

function Turns({ pager }) {
  const { rowsText, isTurning, reason, turn, hasPrevious, hasNext } = pager;
  // Disabled in name alone, so that a button at the end of the rows keeps the focus.
  const button = (text, step, isPossible) => {
    const isOff = !isPossible || isTurning || reason !== "";
    const props = { type: "button", "aria-label": `${text} page`, "aria-disabled": isOff, title: reason || undefined };
    return h("button", { ...props, onClick: () => !isOff && turn(step) }, text);
  };
  return h(
    "div",
    { className: "turns", role: "group", "aria-label": "Pages" },
    button("Previous", -1, hasPrevious !== false),
    button("Next", 1, hasNext !== false),
    h("span", { role: "status" }, rowsText),
  );
}

function SaveAll({ totalCount, onSave }) {
  const what = `Save ${totalCount === null ? "all rows" : allRows(totalCount)} as`;
  const button = (format, text) => {
    const title = `${what} ${text}, with all columns of the report`;
    return h("button", { type: "button", title, "aria-label": `${what} ${text}`, onClick: () => onSave(format) }, text);
  };
  return h("div", { className: "save-all" }, h("span", null, what), button("csv", "CSV"), button("ndjson", "NDJSON"));
}

function allRows(totalCount) {
  return totalCount === 1 ? "1 row" : `all ${formatNumber(totalCount)} rows`;
}

function Progress({ name, rows, total, cancel }) {
  const of = total === null ? "" : ` of ${formatNumber(total)}`;
  const value = total === null ? {} : { value: rows, max: Math.max(1, total) };
  return h(
    "div",
    { className: "save-all" },
    h("progress", { "aria-label": `Rows of ${name}`, ...value }),
    h("span", null, `${formatNumber(rows)}${of} rows`),
    h("button", { type: "button", onClick: cancel }, "Cancel saving"),
  );
}
