// What the page shows before its user does anything: an answer, or how to get one.

const { createElement: h, useEffect, useRef } = window.React;

const SHOWN_BARS = 7;

/** Runs the current operation as soon as the editors exist, if `isWanted`. */
export function useFirstRun(isWanted, editors, run) {
  const isDue = useRef(isWanted);
  const parts = [editors.queryEditor, editors.variableEditor, editors.headerEditor, editors.responseEditor];
  const isReady = parts.every(Boolean);
  useEffect(() => {
    if (!isReady || !isDue.current) return;
    isDue.current = false;
    run();
  }, [isReady, run]);
}

/** Runs the current operation when Enter is pressed in the bar's field for the token. */
export function useEnterInTokenField({ run, isFetching }) {
  useEffect(() => {
    const field = document.getElementById("token");
    const follow = ({ key }) => key === "Enter" && !isFetching && run();
    field?.addEventListener("keydown", follow);
    return () => field?.removeEventListener("keydown", follow);
  }, [run, isFetching]);
}

/** Returns the view that shows an answer best, of those in panel.js. */
export function bestView({ lists: [list], totals }) {
  if (!list) return totals.length > 0 ? "Chart" : "JSON";
  const hasBars = list.comparison || list.rows.length === 0 || list.columns.some(({ isNumber }) => isNumber);
  return hasBars ? "Chart" : "Table";
}

/** Stands for the bars of an answer that is awaited. */
export function Awaited() {
  const bars = Array.from({ length: SHOWN_BARS }, (_, index) => h("li", { key: index }));
  return h("ol", { className: "awaited", "aria-hidden": true }, bars);
}

/** Says what the page needs before it can ask `upstream`, the host of a real one. */
export function TokenNeeded({ upstream }) {
  return h(
    "div",
    { className: "token-needed" },
    h("p", null, "This gateway asks ", h("strong", null, upstream), " with your access token."),
    h("p", null, "Paste one at the top of this page, and press Enter there, or ▶ here."),
    h("p", null, h("a", { href: guide(), target: "_blank" }, "How to get an access token")),
  );
}

function guide() {
  return new URL("access-token.html", import.meta.url).href;
}
