// The address of the export that has all rows of a connection: see docs/exports.md.

import { isPresent } from "./cells.js";

// How each argument of a connection is written as a parameter.
const WRITTEN = {
  filter: JSON.stringify,
  groupBy: (value) => JSON.stringify([value].flat()),
  processedDateTime: String,
  search: String,
  having: JSON.stringify,
  orderBy: JSON.stringify,
};

/** Returns the address for a connection (page_arguments.js) in a format, "csv" or "ndjson"; `page` is GraphiQL's own. */
export function exportAddress({ name, values }, format, page) {
  const given = Object.keys(WRITTEN).filter((key) => isPresent(values[key]));
  const parameters = new URLSearchParams(given.map((key) => [key, WRITTEN[key](values[key])]));
  return new URL(`export/${name}.${format}?${parameters}`, page).href;
}
