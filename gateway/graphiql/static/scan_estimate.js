// What a scan will cost: the rows that the gateway must read before it can order, search or add up all of them.

import { counted, formatNumber } from "./numbers.js";
import { countingOperation } from "./operation.js";

// The gateway answers from its memory in less time, so it is probably reading by then.
const PATIENCE_MS = 700;

/**
 * Returns a sentence about the rows and calls that the scans need, or "" if one call suffices or the number is unknown.
 * The request for that number makes no call: it joins the scan's first one, or finds its rows in the cache.
 */
export async function describeScans({ scans, definitions, variables }, ask, blockRows, signal) {
  await pause(PATIENCE_MS, signal);
  if (signal.aborted) return "";
  const answer = await ask(countingOperation({ scans, definitions }, variables, blockRows), signal);
  const counts = scans.map((_, index) => answer?.data?.[`rows${index}`]?.totalCount);
  if (!counts.every((count) => typeof count === "number")) return "";
  const rows = counts.reduce((sum, count) => sum + count, 0);
  const calls = counts.reduce((sum, count) => sum + Math.ceil(count / blockRows), 0);
  if (calls <= 1) return "";
  return `It needs all rows of the query: about ${formatNumber(rows)} rows, up to ${counted(calls, "call")}.`;
}

/** Returns what a response did cost, or "" if it made no call. */
export function describeCost(cost) {
  if (!cost || cost.upstreamCalls === 0) return "";
  return `${counted(cost.rowsRead, "row")} read in ${counted(cost.upstreamCalls, "call")}`;
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
