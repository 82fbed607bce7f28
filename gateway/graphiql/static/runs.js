// The latest run of each tab: what it asked for, a note on its cost while it waits, and what happened to it.

import { readOperation } from "./operation.js";
import { describeScans } from "./scan_estimate.js";

const { useEffect, useRef, useState } = window.React;

const NO_RUN = { operation: null, ordered: new Map(), ungrouped: new Set(), note: "", exchange: null };

/** The operation that the page has sent last. `blockRows` is the size of the blocks that the gateway reads. */
export class Runs {
  #listeners = new Set();
  #blockRows;

  /** `blockRows` is 0 if the page can ask for nothing by itself. */
  constructor(blockRows) {
    this.#blockRows = blockRows;
  }

  /** Whether the page may send operations of its own. */
  get mayAsk() {
    return this.#blockRows > 0;
  }

  /** Notes a run. */
  begin(operation) {
    const { ordered, ungrouped } = readOperation(operation);
    this.#notify({ ...NO_RUN, operation, ordered, ungrouped });
  }

  /** Notes the facts about the response to the latest run. */
  noteExchange(exchange) {
    this.#notify({ exchange });
  }

  /** Shows what the run will cost, if it is slow and needs all rows; `ask` sends operations. Aborting `signal` ends it. */
  async estimate(operation, ask, signal) {
    const { scans, definitions } = readOperation(operation);
    if (scans.length === 0 || !this.mayAsk) return;
    const counting = { scans, definitions, variables: operation.variables };
    const note = await describeScans(counting, ask, this.#blockRows, signal);
    if (!signal.aborted) this.#notify({ note });
  }

  /** Calls `listener` with the changes of each run, the first of which has everything; returns a function that stops it. */
  watch(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #notify(change) {
    for (const listener of this.#listeners) listener(change);
  }
}

/** Returns the latest run of the tab `tabId`. */
export function useRun(runs, tabId) {
  const [runByTab, setRunByTab] = useState({});
  const tab = useRef(tabId);
  tab.current = tabId;
  const change = (run) => setRunByTab((all) => ({ ...all, [tab.current]: { ...NO_RUN, ...all[tab.current], ...run } }));
  useEffect(() => runs.watch(change), [runs]);
  return runByTab[tabId] ?? NO_RUN;
}

/** Returns whether the run ordered all rows of `list`: then its order means something. */
export function isOrderedBy(run, list) {
  return list.keys.every((key) => run.ordered.has(key));
}
