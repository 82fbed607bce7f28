// Assembles GraphiQL. The page loads React, ReactDOM and GraphiQL before this module; these browser builds define
// globals.

import { Authorization } from "./authorization.js";
import { openingWith } from "./builder/opening.js";
import { builderPlugin } from "./builder/plugin.js";
import { useEditors, useFocusInNewTab } from "./editors.js";
import { ask, createFetcher } from "./fetcher.js";
import { describeProblem } from "./problems.js";
import { Results } from "./results.js";
import { Runs } from "./runs.js";
import { takeSharedTab } from "./share.js";
import { createStorage } from "./storage.js";

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

/** The buttons in the bar that choose a token of the sandbox; only the sandbox's page has them. */
function connectTokenButtons(authorization) {
  const buttons = document.querySelectorAll("button[data-token]");
  for (const button of buttons) button.addEventListener("click", () => authorization.choose(button.dataset.token));
  authorization.watch((token) => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.token === token));
  });
}

/** The field in the bar for a real access token, or for a token of the sandbox with faults. */
function connectTokenField(authorization) {
  const field = document.getElementById("token");
  if (field === null) return;
  field.addEventListener("input", () => authorization.choose(field.value.replace(/^\s*bearer\s+/i, "").trim()));
  authorization.watch((token = "") => {
    if (field.value.trim() !== token) field.value = token;
  });
}

/** Replaces GraphiQL's link to its own site with nothing, and gets access to the editors. */
function Editors({ authorization }) {
  const editors = useEditors();
  const { headerEditor } = editors;
  useFocusInNewTab(editors);
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
const tabs = shared === null ? examples : [shared, ...examples];

ReactDOM.createRoot(root).render(
  h(
    GraphiQL,
    {
      // Page and endpoint have the same URL, even behind a proxy that adds a path.
      fetcher: createFetcher(window.location.pathname, authorization.prepareHeaders, runs),
      storage,
      shouldPersistHeaders: false,
      isHeadersEditorEnabled: true,
      // Show the Headers pane only on demand, because it contains the token. On a phone the query needs its space too.
      defaultEditorToolsVisibility: isPhone ? false : "variables",
      defaultQuery: isTrustedOnly ? TRUSTED_QUERY : NEW_QUERY,
      defaultHeaders: headers,
      // GraphiQL takes only the query of the first tab from here.
      variables: tabs[0].variables ?? undefined,
      defaultTabs: tabs.map((tab) => ({ ...tab, headers })),
      inputValueDeprecation: true,
      // Where only trusted documents run, nothing can be built.
      plugins: isTrustedOnly ? [] : [builder],
      // On a phone, the builder would cover the query.
      ...(isPhone || isTrustedOnly ? {} : openingWith(builder, storage)),
    },
    h(GraphiQL.Logo, null, h(Editors, { authorization })),
    h(GraphiQL.Footer, null, h(Results, { url: endpoint, tokenHint, authorization, runs, sandboxTokens })),
  ),
);
connectTokenButtons(authorization);
connectTokenField(authorization);
