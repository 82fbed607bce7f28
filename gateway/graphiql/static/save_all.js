// Saves all rows of a connection through the gateway's export, which has no limit on them.

import { BYTE_ORDER_MARK } from "./csv.js";
import { exportAddress } from "./export_address.js";
import { openSink } from "./file_sink.js";
import { counted, formatNumber } from "./numbers.js";
import { RowCounter } from "./row_counter.js";

const { useCallback, useRef, useState } = window.React;

const PROGRESS_MS = 100;
const STOPPED = "Nothing was saved.";

/**
 * Returns {progress, save, cancel}. `save({connection, name, format, page, headers})` saves a file, and calls `notify`
 * with a sentence about its end. `progress` ({name, rows, total}) is null unless a file is being saved.
 */
export function useSaveAll(notify) {
  const [progress, setProgress] = useState(null);
  const abort = useRef(null);
  const cancel = useCallback(() => abort.current?.abort(), []);
  const save = useCallback(
    async (request) => {
      const sink = await openSink(`${request.name}.${request.format}`, request.format);
      if (sink === null) return;
      abort.current = new AbortController();
      let shown = { name: request.name, rows: 0, total: null };
      setProgress(shown);
      const timer = setInterval(() => setProgress(shown), PROGRESS_MS);
      const onProgress = (rows, total) => {
        shown = { ...shown, rows, total };
      };
      const end = await saveTo(sink, request, abort.current.signal, onProgress);
      clearInterval(timer);
      setProgress(null);
      notify(end);
    },
    [notify],
  );
  return { progress, save, cancel };
}

/** Returns a sentence about the end. A file is finished only if all of its rows have arrived. */
async function saveTo(sink, request, signal, onProgress) {
  const { format } = request;
  const counter = new RowCounter(format);
  let total = null;
  try {
    const address = exportAddress(request.connection, format, request.page);
    const response = await fetch(address, { headers: request.headers, cache: "no-store", redirect: "error", signal });
    if (!response.ok) return await withoutFile(sink, await refusalOf(response));
    total = totalOf(response.headers);
    if (format === "csv") await sink.write(new TextEncoder().encode(BYTE_ORDER_MARK));
    await copyRows(response.body.getReader(), sink, counter, () => onProgress(counter.rows, total));
    if (total !== null && counter.rows !== total) throw new TypeError("incomplete");
    await sink.finish();
    return `Saved ${counted(counter.rows, "row")}, with all columns of the report.${warningsIn(response.headers)}`;
  } catch (error) {
    return await withoutFile(sink, signal.aborted ? "Canceled." : reasonOf(error, counter.rows, total));
  }
}

async function copyRows(reader, sink, counter, onProgress) {
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    counter.add(value);
    await sink.write(value);
    onProgress();
  }
}

async function withoutFile(sink, reason) {
  await Promise.resolve(sink.discard()).catch(() => {});
  return `${reason} ${STOPPED}`;
}

/** Browsers report every failure of a connection as a TypeError, and those of a disk as a DOMException. */
function reasonOf(error, rows, total) {
  if (!(error instanceof TypeError)) return `The file could not be written (${error.name}).`;
  if (rows === 0) return "No answer from the gateway.";
  const of = total === null ? "" : ` of ${formatNumber(total)}`;
  return `The rows ended early, after ${formatNumber(rows)}${of}. Try again.`;
}

async function refusalOf(response) {
  try {
    const [{ message, extensions }] = (await response.json()).errors;
    return `${extensions.code}: ${message}`;
  } catch {
    return `Something between here and the gateway answered with HTTP ${response.status}.`;
  }
}

function totalOf(headers) {
  const text = headers.get("X-Total-Count");
  return /^\d+$/.test(text ?? "") ? Number(text) : null;
}

function warningsIn(headers) {
  const codes = headers.get("X-Warnings");
  return codes ? ` The gateway warns: ${codes}.` : "";
}
