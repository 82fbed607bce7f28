// The latest run of each tab: what it asked for, and a note on its cost while it waits.

import { readOperation } from "./operation.js";
import { describeScans } from "./scan_estimate.js";

const { useEffect, useRef, useState } = window.React;

const NO_RUN = { ordered: new Set(), note: "" };

/** The operation that the page has sent last. `blockRows` is the size of the blocks that the gateway reads. */
export class Runs {
  #listeners = new Set();
  #blockRows;

  /** `blockRows` is 0 if the page can ask for nothing by itself. */
  constructor(blockRows) {
    this.#blockRows = blockRows;
  }

  /** Notes a run. */
  begin(operation) {
    this.#notify({ ordered: readOperation(operation).ordered, note: "" });
  }

  /** Shows what the run will cost, if it is slow and needs all rows; `ask` sends operations. Aborting `signal` ends it. */
  async estimate(operation, ask, signal) {
    const { ordered, scans, definitions } = readOperation(operation);
    if (scans.length === 0 || this.#blockRows === 0) return;
    const counting = { scans, definitions, variables: operation.variables };
    const note = await describeScans(counting, ask, this.#blockRows, signal);
    if (!signal.aborted) this.#notify({ ordered, note });
  }

  /** Calls `listener` with each run and each of its changes; returns a function that stops it. */
  watch(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #notify(run) {
    for (const listener of this.#listeners) listener(run);
  }
}

/** Returns the latest run of the tab `tabId`. */
export function useRun(runs, tabId) {
  const [runByTab, setRunByTab] = useState({});
  const tab = useRef(tabId);
  tab.current = tabId;
  useEffect(() => runs.watch((run) => setRunByTab((all) => ({ ...all, [tab.current]: run }))), [runs]);
  return runByTab[tabId] ?? NO_RUN;
}

/** Returns whether the run ordered all rows of `list`: then its order means something. */
export function isOrderedBy(run, list) {
  return list.keys.every((key) => run.ordered.has(key));
}
