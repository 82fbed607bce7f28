// Where a page is among all rows, and which arguments ask for the pages beside it.

import { isPresent } from "./cells.js";

// The gateway's default, if an operation gives no number of rows.
const DEFAULT_ROWS = 100;

// A cursor is the same text only for the same row of the same query and snapshot, so this map is true for all answers.
const rowByCursor = new Map();

/** Returns the cursors and ends of a connection's page that its answer has. */
export function pageOf(connection) {
  const info = connection?.pageInfo ?? {};
  const edges = Array.isArray(connection?.edges) ? connection.edges : [];
  return {
    hasNextPage: info.hasNextPage,
    hasPreviousPage: info.hasPreviousPage,
    startCursor: info.startCursor ?? edges[0]?.cursor ?? null,
    endCursor: info.endCursor ?? edges.at(-1)?.cursor ?? null,
  };
}

/**
 * Returns where the page is: the number of rows before it (`start`, null if that is unknown), and whether there
 * are rows before and after it (undefined if that is unknown). `values` are the arguments of the connection.
 */
export function placeOf(values, page, { count, totalCount }) {
  const start = startOf(values, { count, totalCount });
  const size = values.first ?? DEFAULT_ROWS;
  const isShort = !isBackward(values) && count < size;
  const follows = start !== null && totalCount !== null ? start + count < totalCount : isShort ? false : undefined;
  return {
    start,
    hasPrevious: page.hasPreviousPage ?? (start === null ? undefined : start > 0),
    hasNext: page.hasNextPage ?? follows,
  };
}

/** Remembers which rows the cursors of a page with `count` rows from row `start` on belong to. */
export function noteCursors({ startCursor, endCursor }, start, count) {
  if (start === null || count === 0) return;
  if (startCursor !== null) rowByCursor.set(startCursor, start);
  if (endCursor !== null) rowByCursor.set(endCursor, start + count - 1);
}

function startOf({ after, last, before, offset, ...others }, { count, totalCount }) {
  if (isPresent(offset)) return offset;
  if (isBackward({ last, before, ...others })) {
    const end = isPresent(before) ? rowByCursor.get(before) : totalCount;
    return isPresent(end) ? end - count : null;
  }
  if (!isPresent(after)) return 0;
  return rowByCursor.has(after) ? rowByCursor.get(after) + 1 : null;
}

function isBackward({ first, last, before }) {
  return isPresent(last) || (isPresent(before) && !isPresent(first));
}

/** Returns the paging arguments of the page before (`step` -1) or after this one (1); null without a cursor for it. */
export function besidePage(values, page, step, count) {
  const size = values.first ?? values.last;
  if (isPresent(values.offset)) {
    const rows = step > 0 ? count : -(size ?? DEFAULT_ROWS);
    return { first: size, offset: Math.max(0, values.offset + rows) };
  }
  if (step > 0) return page.endCursor === null ? null : { first: size, after: page.endCursor };
  return page.startCursor === null ? null : { last: size, before: page.startCursor };
}
