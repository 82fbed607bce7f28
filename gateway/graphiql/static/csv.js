// Rows as CSV, for a spreadsheet.

import { plainText } from "./answer.js";

// What spreadsheets take for the start of a formula; tab and carriage return let one follow.
const FORMULA = /^[=+\-@\t\r]/;
// Without it Excel reads UTF-8 as something else.
const BYTE_ORDER_MARK = "\ufeff";

/** RFC 4180, all `rows`; text that a spreadsheet would run as a formula gets an apostrophe in front. */
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

/** Hands `text` to the browser as a file to save. */
export function saveCsv(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${name}.csv`;
  link.click();
  // The browser takes hold of the file after this turn.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
