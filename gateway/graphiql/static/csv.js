// Rows as CSV, for a spreadsheet.

import { plainText } from "./cells.js";

// The patterns of exports, which the page receives: schema/export/spreadsheet_formulas.py describes them.
const { start, hidden } = JSON.parse(document.getElementById("graphiql").dataset.formulas);
const FORMULA_START = new RegExp(start);
const HIDDEN_FORMULA = new RegExp(hidden, "g");
// A byte order mark: without it, Excel does not detect UTF-8.
export const BYTE_ORDER_MARK = "\ufeff";

/** Returns all `rows` as RFC 4180; formulas in text get an apostrophe in front. */
export function toCsv(columns, rows) {
  const names = columns.map(({ name }) => name);
  const lines = [names, ...rows.map((row) => names.map((name) => row[name]))];
  return BYTE_ORDER_MARK + lines.map((cells) => `${cells.map(cell).join(",")}\r\n`).join("");
}

function cell(value) {
  const text = plainText(value);
  const harmless = typeof value === "number" ? text : withoutFormulas(text);
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

function withoutFormulas(text) {
  const shown = text.replaceAll(HIDDEN_FORMULA, "$&'");
  return FORMULA_START.test(text) ? `'${shown}` : shown;
}

/** Saves a Blob as a file through the browser. */
export function saveFile(name, blob) {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads the file only after this turn of the event loop.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Saves `text` as a CSV file. */
export function saveCsv(name, text) {
  saveFile(`${name}.csv`, new Blob([text], { type: "text/csv;charset=utf-8" }));
}
