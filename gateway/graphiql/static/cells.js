// The values of rows, and how they are shown.

import { formatNumber, formatShare } from "./numbers.js";

const GUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;
// Dates of the report have a time, which is always midnight.
const MIDNIGHT = /T00:00:00(\.0+)?Z?$/;

/** Returns whether a cell has a value. A dimension outside the grouping is null; a missing field is undefined. */
export function isPresent(value) {
  return value !== null && value !== undefined;
}

export function isId(value) {
  return typeof value === "string" && GUID.test(value);
}

/** Returns the first group of an id's digits, which is enough to recognize it. */
export function shortId(id) {
  return `${id.slice(0, 8)}…`;
}

/** Returns a cell's value as text, with numbers in machine-readable form. */
export function plainText(value) {
  if (!isPresent(value)) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Returns a present value for people: short ids, dates without midnight, numbers with commas, rates in percent. */
export function shownText(value, { measure, isChange, isDate } = {}) {
  if (typeof value === "number") return shownNumber(value, measure, isChange);
  if (isId(value)) return shortId(value);
  return isDate ? plainText(value).replace(MIDNIGHT, "") : plainText(value);
}

/** Changes have a sign. The change of a rate is in percentage points. */
function shownNumber(value, measure, isChange) {
  if (!isChange) return measure === "rate" ? formatShare(value, 1) : formatNumber(value);
  const change = measure === "rate" ? Math.round(1000 * value) / 10 : value;
  const sign = change > 0 ? "+" : change < 0 ? "−" : "";
  return `${sign}${formatNumber(Math.abs(change))}${measure === "rate" ? " points" : ""}`;
}
