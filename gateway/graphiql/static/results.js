// The panel over the result pane: the response as JSON, table, chart or CSV, and its operation as a curl command.

import { readAnswer } from "./answer.js";
import { Chart } from "./chart.js";
import { saveCsv, toCsv } from "./csv.js";
import { copyText, curlCommand } from "./curl.js";
import { formatNumber, MAX_SHOWN_ROWS, sortRows, Table } from "./table.js";
import { otherTokenNotice, useTokens } from "./tokens.js";

const { createElement: h, useEffect, useMemo, useRef, useState } = window.React;
const { createPortal } = window.ReactDOM;
const { useEditorContext, useExecutionContext } = window.GraphiQL.React;

const VIEWS = ["JSON", "Table", "Chart"];
// The first errors are enough to fix an operation; the JSON view has all of them.
const MAX_SHOWN_PROBLEMS = 5;

/**
 * Sits in GraphiQL's footer and renders the panel above the result pane. `url` is the endpoint, `tokenHint` says where
 * to enter a token on this page, and `sandboxTokens` are the tokens that are not secret.
 */
export function Results({ url, tokenHint, authorization, sandboxTokens }) {
  const editors = useEditorContext({ nonNull: true });
  const { isFetching } = useExecutionContext({ nonNull: true });
  const text = useText(editors.responseEditor);
  const [view, setView] = useState(VIEWS[0]);
  const [chosenName, setChosenName] = useState(null);
  const [wantedSort, setSort] = useState(null);
  const [notice, setNotice] = useState("");
  const answer = useMemo(() => readAnswer(text), [text]);
  const list = answer.lists.find(({ name }) => name === chosenName) ?? answer.lists[0];
  const sort = list?.columns.some(({ name }) => name === wantedSort?.column) ? wantedSort : null;
  const tokens = useTokens(authorization, editors.tabs[editors.activeTabIndex].id, isFetching);
  const outdated = answer.isRead && !isFetching ? otherTokenNotice(tokens, sandboxTokens) : "";
  const rows = useMemo(() => (list ? sortRows(list.rows, sort) : []), [list, sort]);

  // A hidden editor could not measure its lines.
  useEffect(() => editors.responseEditor?.refresh(), [view]);
  useEffect(() => setNotice(""), [text, view, tokens.token]);

  const whereTokenIs = describeTokenPlace(tokens.token, sandboxTokens);
  const copyCurl = async () => setNotice(await copied(editors, url, whereTokenIs));
  const saveRows = () => {
    if (rows.length === 0) return setNotice("There are no rows to save.");
    saveCsv(fileName(editors.queryEditor.operationName, list, answer.lists), toCsv(list.columns, rows));
    setNotice(`Saved ${countRows(rows.length)}.`);
  };
  const actions = [
    h(Action, { key: "curl", title: "Copy the operation as a curl command", onClick: copyCurl }, "Copy as curl"),
    h(Action, { key: "csv", title: "Save the rows as CSV", onClick: saveRows }, "CSV"),
  ];
  const hint = list?.rows.length === 0 ? filterHint(editors) : "";
  const status = statusText({ view, text, answer, list, isFetching, hint });
  const isShown = view !== "JSON" && !isFetching && rows.length > 0;
  return h(
    AboveResult,
    { view, isEmpty: text === "" && !isFetching, isOutdated: outdated !== "" },
    h("div", { className: "results-bar" }, h(ViewButtons, { view, setView }), actions),
    h(Summary, { list, lists: answer.lists, setChosenName, status, notice }),
    h("p", { className: "outdated", role: "status" }, outdated),
    !isFetching && h(Problems, { problems: answer.problems, tokenHint }),
    isShown &&
      h(Room, { view, list }, view === "Table" ? h(Table, { list, rows, sort, onSort: setSort }) : h(Chart, { list })),
  );
}

/** Returns an editor's text, and updates it. */
function useText(editor) {
  const [text, setText] = useState("");
  useEffect(() => {
    if (!editor) return undefined;
    const follow = () => setText(editor.getValue());
    follow();
    editor.on("changes", follow);
    return () => editor.off("changes", follow);
  }, [editor]);
  return text;
}

/** Renders its children before the result pane, for the right keyboard order; GraphiQL has no slot there. */
function AboveResult({ view, isEmpty, isOutdated, children }) {
  const here = useRef(null);
  const [panel] = useState(() => document.createElement("section"));
  useEffect(() => {
    panel.className = "results";
    panel.setAttribute("aria-label", "Views of the answer");
    here.current.closest(".graphiql-response").prepend(panel);
    return () => panel.remove();
  }, []);
  useEffect(() => {
    panel.dataset.view = view;
    panel.toggleAttribute("data-empty", isEmpty);
    panel.toggleAttribute("data-outdated", isOutdated);
  }, [view, isEmpty, isOutdated]);
  return h("span", { ref: here, hidden: true }, createPortal(children, panel));
}

function ViewButtons({ view, setView }) {
  const buttons = VIEWS.map((name) =>
    h("button", { key: name, type: "button", "aria-pressed": name === view, onClick: () => setView(name) }, name),
  );
  return h("div", { role: "group", "aria-label": "Show the answer as", className: "results-views" }, buttons);
}

function Action(props) {
  return h("button", { type: "button", ...props });
}

async function copied({ queryEditor, variableEditor, headerEditor }, url, whereTokenIs) {
  try {
    const [query, variables, headers] = [queryEditor, variableEditor, headerEditor].map((editor) => editor.getValue());
    const command = curlCommand({ url, query, variables, headers, operationName: queryEditor.operationName });
    return (await copyText(command)) ? `Copied. It takes the token from $TOKEN; ${whereTokenIs}` : "The browser forbids copying.";
  } catch (error) {
    return error.message;
  }
}

function describeTokenPlace(token, sandboxTokens) {
  if (sandboxTokens.size === 0) return "first set TOKEN, as docs/authentication.md shows";
  return sandboxTokens.has(token) ? `first type TOKEN=${token}` : "first set TOKEN to yours";
}

/** Returns the file name: the operation's, and the list's if there are several. */
function fileName(operationName, list, lists) {
  if (!operationName) return list.name;
  return lists.length === 1 || list.isJoined ? operationName : `${operationName}-${list.name}`;
}

/** A scrolling box; it is focusable so that the keyboard can scroll it. */
function Room({ view, list, children }) {
  const region = { className: "results-scroll", role: "region", "aria-label": `${view} of ${list.name}`, tabIndex: 0 };
  return h("div", { className: "results-room" }, h("div", region, children));
}

/** One line about the response, which screen readers announce at each change. */
function statusText({ view, text, answer, list, isFetching, hint }) {
  if (isFetching) return "Waiting for the answer …";
  if (text === "") return "Press ▶ (or Ctrl-Enter), and the answer will stand here.";
  if (list) return counted(list, view, hint);
  if (answer.problems.length > 0) return "There is no data in this answer.";
  return answer.isRead
    ? "There is no list of rows in this answer: select nodes or edges."
    : "This is not a GraphQL answer; JSON shows it.";
}

/** Returns a hint about the filter of the current operation, if it has one. */
function filterHint({ queryEditor, variableEditor, tabs, activeTabIndex }) {
  const query = withoutComments(queryEditor.getValue());
  if (!/\bfilter\s*:/.test(query)) return "";
  const isOfProducts = /\bproductName\s*:\s*[{$]|"productName"\s*:/.test(query + variableEditor?.getValue());
  const isListed = activeTabIndex > 0 && /groupBy:\s*\[PRODUCT_NAME\]/.test(withoutComments(tabs[0].query ?? ""));
  const where = isOfProducts && isListed ? "; the first tab lists the products' names" : "";
  return ` The filter compares whole values${where}.`;
}

function withoutComments(query) {
  return query.replaceAll(/#.*/g, "");
}

function Problems({ problems, tokenHint }) {
  const items = problems.slice(0, MAX_SHOWN_PROBLEMS).map(({ code, message, isWarning }, index) =>
    h(
      "li",
      { key: index, className: isWarning ? "warning" : undefined },
      h("strong", null, code ?? "ERROR"),
      ` ${code === "UNAUTHENTICATED" ? `${forPeople(message)} ${tokenHint}` : message}`,
    ),
  );
  const left = problems.length - items.length;
  const more = left > 0 && h("li", { key: "more" }, `and ${left} more in JSON`);
  return items.length > 0 && h("div", { role: "alert" }, h("ul", { className: "problems" }, items, more));
}

/** Returns the message without its sentence for programs on how to send a token. */
function forPeople(message) {
  return message.replace(/ Send 'Authorization: Bearer [^']*'\./, "");
}

function Summary({ list, lists, setChosenName, status, notice }) {
  const options = lists.map(({ name }) => h("option", { key: name }, name));
  const choose = (event) => setChosenName(event.target.value);
  const choice = h("select", { "aria-label": "Rows of", value: list?.name, onChange: choose }, options);
  return h(
    "p",
    { className: "summary" },
    h("span", { className: "about" }, lists.length > 1 ? choice : list?.name, " ", h("span", { role: "status" }, status)),
    h("span", { className: "notice", role: "status" }, notice),
  );
}

function counted({ rows, totalCount }, view, hint) {
  if (rows.length === 0) return totalCount > 0 ? `no rows here, of ${countRows(totalCount)}` : `No row fits.${hint}`;
  const count =
    totalCount > rows.length ? `${formatNumber(rows.length)} of ${countRows(totalCount)}` : countRows(rows.length);
  if (view !== "Table" || rows.length <= MAX_SHOWN_ROWS) return count;
  return `${count}; the first ${formatNumber(MAX_SHOWN_ROWS)} are shown, CSV has them all`;
}

function countRows(count) {
  return count === 1 ? "1 row" : `${formatNumber(count)} rows`;
}
