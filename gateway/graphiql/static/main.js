// Assembles GraphiQL. The page loads React, ReactDOM and GraphiQL before this module; these browser builds define
// globals.

import { Authorization } from "./authorization.js";
import { openingWith } from "./builder/opening.js";
import { builderPlugin } from "./builder/plugin.js";
import { Clock } from "./clock.js";
import { useEditors, useFocusInNewTab } from "./editors.js";
import { ask, createFetcher } from "./fetcher.js";
import { describeProblem } from "./problems.js";
import { Results } from "./results.js";
import { Runs } from "./runs.js";
import { takeSharedTab } from "./share.js";
import { createStorage, readTabs } from "./storage.js";
import { openingTabs, tabState, useKeptTabs, useTabInView } from "./tabs.js";
import { connectTokenBar } from "./token_bar.js";

const { GraphiQL, React, ReactDOM } = window;
const root = document.getElementById("graphiql");
const h = React.createElement;

// The initial query of a tab opened with the plus sign.
const NEW_QUERY = `# Ctrl-Space suggests what may stand here.
{ licenseDeployments(first: 10) { totalCount nodes { customerName productName licensesSold } } }
`;
// The initial query of every tab if only trusted documents run.
const TRUSTED_QUERY =
  "# Nothing but the operations of its manifest runs on this gateway (GATEWAY_TRUSTED_DOCUMENTS). " +
  "Paste one of them in place of these lines, to the letter, and run it.\n";

// GraphiQL's proportions of its panes: the answer is wider than the query, which is longer than its variables.
const PROPORTIONS = { "graphiql:editorFlex": "0.6", "graphiql:secondaryEditorFlex": "4" };

/** Returns the example operations, one per tab; if they cannot be loaded, the page still works. */
async function loadExamples() {
  if (isTrustedOnly) return [{ query: TRUSTED_QUERY, variables: null }];
  try {
    const response = await fetch(new URL("../examples.json", import.meta.url), { credentials: "same-origin" });
    return await response.json();
  } catch {
    return [{ query: NEW_QUERY, variables: null }];
  }
}

/** Replaces GraphiQL's link to its own site with nothing, and gets access to the editors. */
function Editors({ authorization, examples }) {
  const editors = useEditors();
  const { headerEditor } = editors;
  useFocusInNewTab(editors);
  useKeptTabs(editors, examples);
  useTabInView(editors.activeTabIndex);
  React.useEffect(() => (headerEditor ? authorization.attach(headerEditor) : undefined), [headerEditor]);
  return h("span");
}

const isSandbox = "sandbox" in root.dataset;
const isTrustedOnly = "trusted" in root.dataset;
const isPhone = window.matchMedia("(max-width: 700px)").matches;
const endpoint = new URL(window.location.pathname, import.meta.url).href;
const tokenHint = isSandbox ? "Choose a token at the top of this page." : "Paste one at the top of this page.";
const sandboxTokens = new Set([...document.querySelectorAll("button[data-token]")].map(({ dataset }) => dataset.token));
const authorization = new Authorization(isSandbox);
const clock = new Clock();
// Only trusted documents run there, so the page cannot ask for a number of rows.
const runs = new Runs(isTrustedOnly ? 0 : Number(root.dataset.blockRows));
const headers = authorization.startHeaders();
const storage = createStorage();
const builder = builderPlugin({
  ask: (operation, sent, signal) =>
    ask(window.location.pathname, operation, authorization.prepareHeaders(sent), signal),
  describeProblem: (problem) => describeProblem(problem, tokenHint),
});
const shared = takeSharedTab();
const examples = await loadExamples();
const opening = openingTabs({ examples, kept: readTabs(), shared });
const current = opening.tabs[opening.active];
storage.setItem("graphiql:tabState", tabState(opening));
for (const [panes, proportion] of Object.entries(PROPORTIONS)) storage.setItem(panes, proportion);
const page = {
  url: endpoint,
  tokenHint,
  sandboxTokens,
  upstream: root.dataset.upstream,
  runsAtOnce: opening.isFresh && isSandbox && !isTrustedOnly,
};

ReactDOM.createRoot(root).render(
  h(
    GraphiQL,
    {
      // Page and endpoint have the same URL, even behind a proxy that adds a path.
      fetcher: createFetcher(window.location.pathname, authorization.prepareHeaders, runs, clock),
      storage,
      shouldPersistHeaders: false,
      isHeadersEditorEnabled: true,
      // Show the Headers pane only on demand, because it contains the token. On a phone the query needs its space too.
      defaultEditorToolsVisibility: isPhone ? false : "variables",
      defaultQuery: isTrustedOnly ? TRUSTED_QUERY : NEW_QUERY,
      defaultHeaders: headers,
      // GraphiQL opens the tab in its storage that has this text.
      query: current.query,
      variables: current.variables ?? undefined,
      inputValueDeprecation: true,
      // Where only trusted documents run, nothing can be built.
      plugins: isTrustedOnly ? [] : [builder],
      // On a phone, the builder would cover the query.
      ...(isPhone || isTrustedOnly ? {} : openingWith(builder, storage)),
    },
    h(GraphiQL.Logo, null, h(Editors, { authorization, examples })),
    h(GraphiQL.Footer, null, h(Results, { page, authorization, runs })),
  ),
);
connectTokenBar(authorization, clock);
