// What happened to a request, from the headers of its response.

import { counted, formatNumber } from "./numbers.js";

const MINUTE_SECONDS = 60;

/** Returns the facts about a response with the text `body`, which took `milliseconds`; unknown ones are null. */
export function exchangeOf({ status, headers }, body, milliseconds) {
  const number = (name) => (/^\d+$/.test(headers.get(name) ?? "") ? Number(headers.get(name)) : null);
  return {
    status,
    milliseconds,
    cache: headers.get("X-Cache"),
    ageSeconds: number("Age"),
    rowsRead: number("X-Rows-Read"),
    calls: number("X-Upstream-Calls"),
    bytes: new Blob([body]).size,
    correlationId: headers.get("MS-CorrelationId"),
    retryAfterSeconds: number("Retry-After"),
  };
}

/** Returns the facts as texts: "HTTP 200", "31 ms", "cache: hit, 3 min old", "no upstream call", "12 kB". */
export function describeExchange({ status, milliseconds, cache, ageSeconds, rowsRead, calls, bytes }) {
  return [
    `HTTP ${status}`,
    duration(milliseconds),
    cache && `cache: ${cache}${ageSeconds > 0 ? `, ${age(ageSeconds)} old` : ""}`,
    calls !== null && describeCalls(calls, rowsRead),
    size(bytes),
  ].filter(Boolean);
}

function describeCalls(calls, rowsRead) {
  if (calls === 0) return "no upstream call";
  return `${counted(calls, "upstream call")}${rowsRead === null ? "" : `, ${counted(rowsRead, "row")} read`}`;
}

function duration(milliseconds) {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

function age(seconds) {
  return seconds < MINUTE_SECONDS ? `${seconds} s` : `${formatNumber(Math.floor(seconds / MINUTE_SECONDS))} min`;
}

function size(bytes) {
  if (bytes < 1000) return counted(bytes, "byte");
  return bytes < 1_000_000 ? `${formatNumber(Math.round(bytes / 1000))} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
