// The panel over the result pane: the response as JSON, table, chart or CSV, and its operation as a curl command; and
// the line below it.

import { readAnswer } from "./answer.js";
import { Chart } from "./chart.js";
import { saveCsv, toCsv } from "./csv.js";
import { copyText, curlCommand } from "./curl.js";
import { Happened } from "./happened.js";
import { counted } from "./numbers.js";
import { Problems } from "./problems.js";
import { isOrderedBy, useRun } from "./runs.js";
import { linkTo } from "./share.js";
import { filterHint, statusText } from "./status.js";
import { sortRows, Table } from "./table.js";
import { otherTokenNotice, useTokens } from "./tokens.js";
import { Totals } from "./totals.js";

const { createElement: h, useEffect, useMemo, useRef, useState } = window.React;
const { createPortal } = window.ReactDOM;
const { useEditorContext, useExecutionContext } = window.GraphiQL.React;

const VIEWS = ["JSON", "Table", "Chart"];

/**
 * Sits in GraphiQL's footer and renders the panel above the result pane. `url` is the endpoint, `tokenHint` says where
 * to enter a token on this page, `runs` knows what was sent, and `sandboxTokens` are the tokens that are not secret.
 */
export function Results({ url, tokenHint, authorization, runs, sandboxTokens }) {
  const editors = useEditorContext({ nonNull: true });
  const execution = useExecutionContext({ nonNull: true });
  const { isFetching } = execution;
  const text = useText(editors.responseEditor);
  const [view, setView] = useState(VIEWS[0]);
  const [chosenName, setChosenName] = useState(null);
  const [wantedSort, setSort] = useState(null);
  const [notice, setNotice] = useState("");
  const answer = useMemo(() => readAnswer(text), [text]);
  const list = answer.lists.find(({ name }) => name === chosenName) ?? answer.lists[0];
  const sort = list?.columns.some(({ name }) => name === wantedSort?.column) ? wantedSort : null;
  const tabId = editors.tabs[editors.activeTabIndex].id;
  const run = useRun(runs, tabId);
  const tokens = useTokens(authorization, tabId, isFetching);
  const outdated = answer.isRead && !isFetching ? otherTokenNotice(tokens, sandboxTokens) : "";
  const rows = useMemo(() => (list ? sortRows(list.rows, sort) : []), [list, sort]);

  // A hidden editor could not measure its lines.
  useEffect(() => editors.responseEditor?.refresh(), [view]);
  useEffect(() => setNotice(""), [text, view, tokens.token]);

  const whereTokenIs = describeTokenPlace(tokens.token, sandboxTokens);
  const copyCurl = async () => setNotice(await copied(editors, url, whereTokenIs));
  const copyLink = async () => {
    const [query, variables] = [editors.queryEditor, editors.variableEditor].map((editor) => editor.getValue());
    const isCopied = await copyText(linkTo(query, variables));
    setNotice(isCopied ? "Copied a link to the operation and its variables." : "The browser forbids copying.");
  };
  const saveRows = () => {
    if (rows.length === 0) return setNotice("There are no rows to save.");
    saveCsv(fileName(editors.queryEditor.operationName, list, answer.lists), toCsv(list.columns, rows));
    setNotice(`Saved ${counted(rows.length, "row")}.`);
  };
  const actions = [
    h(Action, { key: "link", title: "Copy a link to the operation and its variables", onClick: copyLink }, "Copy link"),
    h(Action, { key: "curl", title: "Copy the operation as a curl command", onClick: copyCurl }, "Copy as curl"),
    h(Action, { key: "csv", title: "Save the rows as CSV", onClick: saveRows }, "CSV"),
  ];
  const hint = list?.rows.length === 0 ? filterHint(editors) : "";
  const status = statusText({ view, text, answer, list, isFetching, note: run.note, hint });
  const isShown = view !== "JSON" && !isFetching && rows.length > 0;
  const shown =
    view === "Table"
      ? h(Table, { list, rows, sort, onSort: setSort })
      : h(Chart, { list, isOrdered: isShown && isOrderedBy(run, list) });
  const happened = h(Happened, { exchange: run.exchange, isFetching, run: execution.run, stop: execution.stop });
  return h(
    AroundResult,
    { below: happened, view, isEmpty: text === "" && !isFetching, isOutdated: outdated !== "" },
    h("div", { className: "results-bar" }, h(ViewButtons, { view, setView }), actions),
    h(Summary, { list, lists: answer.lists, setChosenName, status, notice }),
    h("p", { className: "outdated", role: "status" }, outdated),
    !isFetching && h(Problems, { problems: answer.problems, tokenHint }),
    view !== "JSON" && !isFetching && h(Totals, { totals: answer.totals }),
    isShown && h(Room, { view, list }, shown),
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

/** Renders its children before the result pane and `below` behind it; GraphiQL has no slots there. */
function AroundResult({ view, isEmpty, isOutdated, below, children }) {
  const here = useRef(null);
  const [panel] = useState(() => document.createElement("section"));
  const [line] = useState(() => document.createElement("p"));
  useEffect(() => {
    panel.className = "results";
    panel.setAttribute("aria-label", "Views of the answer");
    line.className = "happened";
    const pane = here.current.closest(".graphiql-response");
    pane.prepend(panel);
    pane.append(line);
    return () => [panel, line].forEach((element) => element.remove());
  }, []);
  useEffect(() => {
    panel.dataset.view = view;
    panel.toggleAttribute("data-empty", isEmpty);
    panel.toggleAttribute("data-outdated", isOutdated);
  }, [view, isEmpty, isOutdated]);
  return h("span", { ref: here, hidden: true }, createPortal(children, panel), createPortal(below, line));
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
