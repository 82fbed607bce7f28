// The panel over the result pane: the answer as JSON, table or chart, as CSV, and its operation as a curl command.

import { readAnswer } from "./answer.js";
import { Chart } from "./chart.js";
import { saveCsv, toCsv } from "./csv.js";
import { copyText, curlCommand } from "./curl.js";
import { formatNumber, MAX_SHOWN_ROWS, sortRows, Table } from "./table.js";

const { createElement: h, useEffect, useMemo, useRef, useState } = window.React;
const { createPortal } = window.ReactDOM;
const { useEditorContext, useExecutionContext } = window.GraphiQL.React;

const VIEWS = ["JSON", "Table", "Chart"];

/** Stands in GraphiQL's footer and puts the panel above the result pane; `url` is the endpoint's. */
export function Results({ url }) {
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
  const rows = useMemo(() => (list ? sortRows(list.rows, sort) : []), [list, sort]);

  // Hidden, the editor could not measure its lines.
  useEffect(() => editors.responseEditor?.refresh(), [view]);
  useEffect(() => setNotice(""), [text, view]);

  const copyCurl = async () => setNotice(await copied(editors, url));
  const saveRows = () => {
    if (rows.length === 0) return setNotice("There are no rows to save.");
    saveCsv(list.name, toCsv(list.columns, rows));
    setNotice(`Saved ${countRows(rows.length)}.`);
  };
  const actions = [
    h(Action, { key: "curl", title: "Copy the operation as a curl command", onClick: copyCurl }, "Copy as curl"),
    h(Action, { key: "csv", title: "Save the rows as CSV", onClick: saveRows }, "CSV"),
  ];
  return h(
    AboveResult,
    { view },
    h(
      "div",
      { className: "results-bar" },
      h(ViewButtons, { view, setView }),
      actions,
      h("span", { role: "status" }, notice),
    ),
    view !== "JSON" &&
      h(Shown, { view, answer, list, rows, sort, setSort, setChosenName, isFetching, isAsked: text !== "" }),
  );
}

/** The text of an editor, followed. */
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

/** Its children, before the result pane in the order of the page, and so of the keyboard: GraphiQL has no place there. */
function AboveResult({ view, children }) {
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
  }, [view]);
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

async function copied({ queryEditor, variableEditor, headerEditor }, url) {
  try {
    const [query, variables, headers] = [queryEditor, variableEditor, headerEditor].map((editor) => editor.getValue());
    const command = curlCommand({ url, query, variables, headers, operationName: queryEditor.operationName });
    return (await copyText(command)) ? "Copied. It takes the token from $TOKEN." : "The browser forbids copying.";
  } catch (error) {
    return error.message;
  }
}

function Shown({ view, answer, list, rows, sort, setSort, setChosenName, isFetching, isAsked }) {
  if (isFetching) return h("p", { className: "message", role: "status" }, "Waiting for the answer …");
  if (!isAsked) return h("p", { className: "message" }, "Run an operation, and its rows will stand here.");
  const errors = answer.errors.length > 0 && h(Errors, { key: "errors", errors: answer.errors });
  if (!list)
    return [errors, answer.errors.length === 0 && h("p", { key: "none", className: "message" }, noRows(answer))];
  return [
    errors,
    h(Summary, { key: "summary", view, list, lists: answer.lists, setChosenName }),
    list.rows.length > 0 &&
      h(
        Room,
        { key: "room", view, list },
        view === "Table" ? h(Table, { list, rows, sort, onSort: setSort }) : h(Chart, { list }),
      ),
  ];
}

/** Scrolls; takes the focus, so that the keyboard can do so, too. */
function Room({ view, list, children }) {
  const region = { className: "results-scroll", role: "region", "aria-label": `${view} of ${list.name}`, tabIndex: 0 };
  return h("div", { className: "results-room" }, h("div", region, children));
}

function noRows({ isRead }) {
  return isRead
    ? "There is no list of rows in this answer: select nodes or edges."
    : "This is not a GraphQL answer; JSON shows it.";
}

function Errors({ errors }) {
  const items = errors.map(({ message, extensions }, index) =>
    h("li", { key: index }, h("strong", null, extensions?.code ?? "ERROR"), " ", message),
  );
  return h("ul", { className: "errors", role: "alert" }, items);
}

function Summary({ view, list, lists, setChosenName }) {
  const options = lists.map(({ name }) => h("option", { key: name }, name));
  const choose = (event) => setChosenName(event.target.value);
  const name =
    lists.length === 1
      ? list.name
      : h("select", { "aria-label": "Rows of", value: list.name, onChange: choose }, options);
  return h("p", { className: "summary" }, name, " ", h("span", { role: "status" }, counted(list, view)));
}

function counted({ rows, totalCount }, view) {
  if (rows.length === 0) return totalCount > 0 ? `no rows here, of ${countRows(totalCount)}` : "no rows";
  const count =
    totalCount > rows.length ? `${formatNumber(rows.length)} of ${countRows(totalCount)}` : countRows(rows.length);
  if (view !== "Table" || rows.length <= MAX_SHOWN_ROWS) return count;
  return `${count}; the first ${formatNumber(MAX_SHOWN_ROWS)} are shown, CSV has them all`;
}

function countRows(count) {
  return count === 1 ? "1 row" : `${formatNumber(count)} rows`;
}
