// One line about the response, which screen readers announce at each change.

import { counted, formatNumber } from "./numbers.js";
import { describeCost } from "./scan_estimate.js";

// GraphiQL's own messages, instead of a response.
const NOT_SENT = /^(Headers|Variables) are (invalid JSON|not a JSON object)/;

/** Returns the line. `note` is about the operation that is running, `hint` about a list without rows. */
export function statusText({ text, answer, list, isFetching, note, hint, needsToken }) {
  if (isFetching) return ["Waiting for the answer …", note].filter(Boolean).join(" ");
  if (text === "" && needsToken) return "Waiting for an access token.";
  if (text === "") return "Press ▶ (or Ctrl-Enter), and the answer appears here.";
  const [about, cost] = [describeAnswer({ text, answer, list, hint }), describeCost(answer.cost)];
  if (!cost) return about;
  return about.endsWith(".") ? `${about} ${cost}.` : `${about} · ${cost}`;
}

function describeAnswer({ text, answer, list, hint }) {
  if (list) return countedRows(list, hint);
  if (answer.totals.length > 0) return "No rows were asked for.";
  if (answer.problems.length > 0) return "There is no data in this answer.";
  if (answer.isRead) return "There is no list of rows in this answer: select nodes or edges.";
  return NOT_SENT.test(text) ? `Nothing was sent. ${text}` : "This is not a GraphQL answer; JSON shows it.";
}

function countedRows({ rows, totalCount }, hint) {
  if (rows.length === 0 && totalCount === 0) return `No row fits.${hint}`;
  if (rows.length === 0) return totalCount > 0 ? `no rows here, of ${counted(totalCount, "row")}` : "No rows in this answer.";
  if (totalCount > rows.length) return `${formatNumber(rows.length)} of ${counted(totalCount, "row")}`;
  return counted(rows.length, "row");
}

/** Returns why the current operation may find no row: its date or its filter. */
export function emptyHint({ queryEditor, variableEditor, tabs, activeTabIndex }) {
  const query = withoutComments(queryEditor.getValue());
  const dateHint = /\bprocessedDateTime\s*:/.test(query) ? " Days without processing have no rows." : "";
  if (!/\bfilter\s*:/.test(query)) return dateHint;
  const isOfProducts = /\bproductName\s*:\s*[{$]|"productName"\s*:/.test(query + variableEditor?.getValue());
  const isListed = activeTabIndex > 0 && /groupBy:\s*\[PRODUCT_NAME\]/.test(withoutComments(tabs[0].query ?? ""));
  const where = isOfProducts && isListed ? "; the first tab lists the products' names" : "";
  return `${dateHint} The filter compares whole values${where}.`;
}

function withoutComments(query) {
  return query.replaceAll(/#.*/g, "");
}
