// Rows as CSV, for a spreadsheet.

import { plainText } from "./answer.js";

// Spreadsheets treat these as the start of a formula; a formula may follow a tab or carriage return.
const FORMULA = /^[=+\-@\t\r]/;
// A byte order mark: without it, Excel does not detect UTF-8.
const BYTE_ORDER_MARK = "\ufeff";

/** Returns all `rows` as RFC 4180; text that a spreadsheet would run as a formula starts with an apostrophe. */
export function toCsv(columns, rows) {
  const names = columns.map(({ name }) => name);
  const lines = [names, ...rows.map((row) => names.map((name) => row[name]))];
  return BYTE_ORDER_MARK + lines.map((cells) => `${cells.map(cell).join(",")}\r\n`).join("");
}

function cell(value) {
  const text = plainText(value);
  const harmless = typeof value !== "number" && FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

/** Saves `text` as a file through the browser. */
export function saveCsv(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${name}.csv`;
  link.click();
  // The browser reads the file only after this turn of the event loop.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
