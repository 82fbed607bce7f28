// The panel over the result pane: the response as JSON, table, chart or CSV, and its operation as a curl command; and
// the line below it.

import { readAnswer } from "./answer.js";
import { MAX_BARS } from "./bars.js";
import { useDrillMenu } from "./builder/drill_menu.js";
import { Chart } from "./chart.js";
import { saveCsv, toCsv } from "./csv.js";
import { copyText, curlCommand } from "./curl.js";
import { useEdited } from "./edited.js";
import { useText } from "./editors.js";
import { Awaited, bestView, TokenNeeded, useEnterInTokenField, useFirstRun } from "./first_view.js";
import { Happened } from "./happened.js";
import { chooseMeasure, Headline } from "./headline.js";
import { counted } from "./numbers.js";
import { PageButtons } from "./page_buttons.js";
import { useHeld, usePager, useTurning } from "./pager.js";
import { Action, AroundResult, Room, Summary, ViewButtons } from "./panel.js";
import { Problems } from "./problems.js";
import { useRun } from "./runs.js";
import { useSaveAll } from "./save_all.js";
import { linkTo } from "./share.js";
import { numbersOf, orderOf, shownList } from "./shown_list.js";
import { sortRows } from "./sorting.js";
import { emptyHint, statusText } from "./status.js";
import { Table } from "./table.js";
import { otherTokenNotice, useTokens } from "./tokens.js";
import { Totals } from "./totals.js";

const { createElement: h, useCallback, useEffect, useMemo, useRef, useState } = window.React;
const { useEditorContext, useExecutionContext } = window.GraphiQL.React;

const NOT_COPIED = "The browser forbids copying.";

/**
 * Sits in GraphiQL's footer and renders the panel above the result pane. `runs` knows what was sent. Of the `page`,
 * `url` is the endpoint, `tokenHint` says where to enter a token, `sandboxTokens` are the tokens that are not secret,
 * `upstream` is the host of a real one, and `runsAtOnce` if the first example needs no click.
 */
export function Results({ page, authorization, runs }) {
  const { url, tokenHint, sandboxTokens, upstream } = page;
  const editors = useEditorContext({ nonNull: true });
  const execution = useExecutionContext({ nonNull: true });
  const { isFetching } = execution;
  const turning = useTurning(isFetching);
  const [isTurning] = turning;
  // While a page is turned, its rows stay.
  const text = useHeld(useText(editors.responseEditor), isTurning && isFetching);
  const [chosenView, setView] = useState(null);
  const [chosenName, setChosenName] = useState(null);
  const [wantedSort, setSort] = useState(null);
  const [wantedMeasure, setMeasure] = useState(null);
  const [notice, setNotice] = useState("");
  const tabId = editors.tabs[editors.activeTabIndex].id;
  const latestRun = useRun(runs, tabId);
  const run = useHeld(latestRun, isTurning && isFetching);
  const answer = useMemo(() => readAnswer(text, (key) => !run.ungrouped.has(key)), [text, run.ungrouped]);
  const lastView = useRef("Chart");
  const view = chosenView ?? (text === "" ? lastView.current : bestView(answer));
  lastView.current = view;
  const found = answer.lists.find(({ name }) => name === chosenName) ?? answer.lists[0];
  const choice = chooseMeasure({ numbers: numbersOf(found), order: orderOf(run, found), wanted: wantedMeasure });
  const list = useMemo(() => shownList(found, choice.column), [found, choice.column]);
  const sort = list?.columns.some(({ name }) => name === wantedSort?.column) ? wantedSort : null;
  const tokens = useTokens(authorization, tabId, isFetching);
  const { isEdited, notice: changed } = useEdited(editors, run.operation);
  const otherToken = answer.isRead && !isFetching ? otherTokenNotice(tokens, sandboxTokens) : "";
  const outdated = otherToken || (answer.isRead && !isFetching && !isTurning ? changed : "");
  const rows = useMemo(() => (list ? sortRows(list.rows, sort) : []), [list, sort]);

  const headersOf = () => authorization.prepareHeaders(JSON.parse(editors.headerEditor.getValue() || "{}"));
  const isOutdated = otherToken !== "";
  const mayAsk = runs.mayAsk;
  const shownPage = { editors, execution, turning, list, run, answer, isEdited, isOutdated };
  const { connection, pager } = usePager({ ...shownPage, url, mayAsk, headersOf, notify: setNotice });
  const saving = useSaveAll(setNotice);
  useFirstRun(page.runsAtOnce, editors, execution.run);
  useEnterInTokenField(execution);
  const { pick, menu } = useDrillMenu({ editors, execution, list });

  // A hidden editor could not measure its lines.
  useEffect(() => editors.responseEditor?.refresh(), [view]);
  useEffect(() => setNotice(""), [text, view, tokens.token]);

  const whereTokenIs = describeTokenPlace(tokens.token, sandboxTokens);
  const copyCurl = async () => setNotice(await copied(editors, url, whereTokenIs));
  const copyLink = async () => {
    const [query, variables] = [editors.queryEditor, editors.variableEditor].map((editor) => editor.getValue());
    const isCopied = await copyText(linkTo(query, variables));
    setNotice(isCopied ? "Copied a link to the operation and its variables." : NOT_COPIED);
  };
  const copyId = useCallback(async (id) => setNotice((await copyText(id)) ? `Copied ${id}.` : NOT_COPIED), []);
  const saveRows = () => {
    if (rows.length === 0) return setNotice("There are no rows to save.");
    saveCsv(fileName(editors.queryEditor.operationName, list, answer.lists), toCsv(ownColumns(list), rows));
    setNotice(`Saved ${counted(rows.length, "row")}.`);
  };
  const actions = [
    h(Action, { key: "link", title: "Copy a link to the operation and its variables", onClick: copyLink }, "Copy link"),
    h(Action, { key: "curl", title: "Copy the operation as a curl command", onClick: copyCurl }, "Copy as curl"),
    h(Action, { key: "csv", title: "Save the rows as CSV", onClick: saveRows }, "CSV"),
  ];
  const saveAll = (format) => {
    const name = `${fileName(editors.queryEditor.operationName, list, answer.lists)}-all`;
    saving.save({ connection, name, format, page: url, headers: headersOf() });
  };
  const hint = list?.rows.length === 0 ? emptyHint(editors) : "";
  const needsToken = upstream !== "" && tokens.token === undefined && text === "" && !isFetching;
  const status = statusText({ text, answer, list, isFetching, note: latestRun.note, hint, needsToken });
  const isAwaited = isFetching && !isTurning;
  const isShown = view !== "JSON" && !isAwaited && rows.length > 0;
  const shown =
    view === "Table"
      ? h(Table, { list, rows, sort, onSort: setSort, onCopy: copyId, pick })
      : h(Chart, { list, choice, pick });
  const hasChoice = isShown && choice.column !== undefined && (view === "Chart" || list.compared);
  const shownCount = view === "Chart" ? Math.min(rows.length, MAX_BARS) : null;
  const happened = h(Happened, { exchange: latestRun.exchange, isFetching, run: execution.run, stop: execution.stop });
  return h(
    AroundResult,
    { below: happened, view, isEmpty: text === "" && !isFetching, isOutdated: outdated !== "" },
    h("div", { className: "results-bar" }, h(ViewButtons, { view, setView }), actions),
    h(Summary, { list, lists: answer.lists, setChosenName, status, notice }),
    h("p", { className: "outdated", role: "status" }, outdated),
    !isAwaited && h(Problems, { problems: answer.problems, tokenHint }),
    view !== "JSON" && !isAwaited && h(Totals, { totals: answer.totals }),
    hasChoice && h(Headline, { list, shownCount, choice, onChoose: setMeasure }),
    needsToken && h(TokenNeeded, { upstream }),
    view !== "JSON" && isAwaited && h(Awaited),
    isShown && h(Room, { view, list, isTurning }, shown),
    view !== "JSON" && !isAwaited && h(PageButtons, { pager, saving, onSave: mayAsk && !isOutdated && saveAll }),
    menu,
  );
}

async function copied({ queryEditor, variableEditor, headerEditor }, url, whereTokenIs) {
  try {
    const [query, variables, headers] = [queryEditor, variableEditor, headerEditor].map((editor) => editor.getValue());
    const command = curlCommand({ url, query, variables, headers, operationName: queryEditor.operationName });
    return (await copyText(command)) ? `Copied. It takes the token from $TOKEN; ${whereTokenIs}` : NOT_COPIED;
  } catch (error) {
    return error.message;
  }
}

function describeTokenPlace(token, sandboxTokens) {
  if (sandboxTokens.size === 0) return "first set TOKEN, as docs/authentication.md shows";
  return sandboxTokens.has(token) ? `first type TOKEN=${token}` : "first set TOKEN to yours";
}

/** Returns the columns of the answer, without those that the page computes. */
function ownColumns({ columns }) {
  return columns.filter(({ isComputed }) => !isComputed);
}

/** Returns the file name: the operation's, and the list's if there are several. */
function fileName(operationName, list, lists) {
  if (!operationName) return list.name;
  return lists.length === 1 || list.isJoined ? operationName : `${operationName}-${list.name}`;
}
