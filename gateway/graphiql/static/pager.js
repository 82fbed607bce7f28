// Turns the pages of the list that is shown: it writes the cursor into the operation, and runs it.

import { isPresent } from "./cells.js";
import { ask } from "./fetcher.js";
import { formatNumber } from "./numbers.js";
import { connectionArguments, cursorsOperation, editsForPage } from "./page_arguments.js";
import { besidePage, noteCursors, pageOf, placeOf } from "./pages.js";

const { useEffect, useMemo, useRef, useState } = window.React;

const NOT_ALL = "UPSTREAM_INCOMPLETE";

/** Returns [isTurning, setTurning]: whether a page is turned; it ends with the answer. */
export function useTurning(isFetching) {
  const [isTurning, setTurning] = useState(false);
  const wasFetching = useRef(false);
  useEffect(() => {
    if (wasFetching.current && !isFetching) setTurning(false);
    wasFetching.current = isFetching;
  }, [isFetching]);
  return [isTurning, setTurning];
}

/** Returns `value`, or while `isHeld` the last one before. */
export function useHeld(value, isHeld) {
  const last = useRef(value);
  if (!isHeld) last.current = value;
  return last.current;
}

/**
 * Returns {connection, pager}: what the list that is shown asks for (page_arguments.js), null if that is unknown, and
 * its pages, null if there is only one. `run` is the latest run of the tab and `answer` its answer; `isEdited` if the
 * editors hold another operation, and `isOutdated` if it belongs to another token than the current one. `mayAsk` if the
 * page may send operations of its own. `headersOf` returns the headers to send.
 */
export function usePager({ url, editors, execution, turning, mayAsk, headersOf, notify, ...shown }) {
  const { list, run, answer, isEdited, isOutdated } = shown;
  const [isTurning, setTurning] = turning;
  const key = list && !list.isJoined && run.operation ? list.keys[0] : null;
  const connection = useMemo(
    () => (key === null ? null : connectionArguments(run.operation, key)),
    [run.operation, key],
  );
  if (!connection) return { connection: null, pager: null };
  const { totalCount, rows } = list;
  const count = rows.length;
  const page = pageOf(answer.data[key]);
  const place = placeOf(connection.values, page, { count, totalCount });
  const isCertain = !answer.problems.some(({ code }) => code === NOT_ALL);
  // Missing rows may be anywhere.
  const start = isCertain ? place.start : null;
  noteCursors(page, start, count);
  if (place.hasPrevious === false && place.hasNext === false) return { connection, pager: null };

  const turn = async (step) => {
    notify("");
    setTurning(true);
    const { wanted, end } = await target(step);
    if (!wanted) {
      setTurning(false);
      return notify(end);
    }
    // The user may have typed, or opened another tab, while the cursor was awaited.
    if (editors.queryEditor.getValue() !== run.operation.query) return setTurning(false);
    write(editors, editsForPage(run.operation, key, wanted));
    execution.run();
  };
  const target = async (step) => {
    const wanted = besidePage(connection.values, page, step, count);
    if (wanted) return { wanted };
    const found = await ask(url, cursorsOperation(run.operation, key), headersOf());
    if (!found.data?.[key]) return { end: found.errors?.[0]?.message ?? "There is no answer." };
    const other = pageOf(found.data[key]);
    noteCursors(other, start, count);
    if (step > 0 ? !other.hasNextPage : !other.hasPreviousPage) return { end: "There are no further rows." };
    return { wanted: besidePage(connection.values, other, step, count) };
  };
  const hasOffset = isPresent(connection.values.offset);
  const hasCursors = mayAsk || hasOffset || (page.endCursor !== null && page.startCursor !== null);
  const pager = {
    ...place,
    totalCount,
    turn,
    isTurning,
    rowsText: describePlace(start, count, totalCount),
    reason: reasonAgainst({ isEdited, isOutdated, hasCursors, isEmpty: count === 0 && !hasOffset }),
  };
  return { connection, pager };
}

function reasonAgainst({ isEdited, isOutdated, hasCursors, isEmpty }) {
  if (isEdited) return "The operation has changed since this answer: run it first.";
  if (isOutdated) return "The token has changed since this answer: run the operation first.";
  if (isEmpty) return "A page without rows has no place among them.";
  return hasCursors ? "" : "Select pageInfo in the operation to turn its pages.";
}

/** Returns, for example, "Rows 21 to 40 of 2,061"; "" if it is unknown which rows these are. */
function describePlace(start, count, totalCount) {
  if (start === null || count === 0) return "";
  const [first, last] = [formatNumber(start + 1), formatNumber(start + count)];
  const rows = count === 1 ? `Row ${first}` : `Rows ${first} to ${last}`;
  return totalCount === null ? rows : `${rows} of ${formatNumber(totalCount)}`;
}

/** Changes only what differs, so that the editor stays where it was, and can undo it. */
function write({ queryEditor, variableEditor }, { edits, variables }) {
  queryEditor.operation(() => {
    for (const { start, end, text } of edits) {
      queryEditor.replaceRange(text, queryEditor.posFromIndex(start), queryEditor.posFromIndex(end));
    }
  });
  const text = JSON.stringify(variables, null, 2);
  const isSame = text === "{}" ? variableEditor.getValue().trim() === "" : text === variableEditor.getValue();
  if (!isSame) variableEditor.setValue(text);
}
