// Puts GraphiQL together. React, ReactDOM, GraphiQL and its explorer are browser builds that the page loads before this
// module; they announce themselves as globals.

import { rememberAuthorization, startHeaders } from "./authorization.js";
import { createFetcher } from "./fetcher.js";
import { createStorage } from "./storage.js";

const { GraphiQL, GraphiQLPluginExplorer, React, ReactDOM } = window;
const root = document.getElementById("graphiql");
const h = React.createElement;

/** The example operations, one tab each; a gateway that cannot give them still gets a usable page. */
async function loadExamples() {
  try {
    const response = await fetch(new URL("../examples.json", import.meta.url), { credentials: "omit" });
    return await response.json();
  } catch {
    return [{ query: "{ __typename }", variables: null }];
  }
}

const headers = startHeaders("sandbox" in root.dataset);
const examples = await loadExamples();

ReactDOM.createRoot(root).render(
  h(
    GraphiQL,
    {
      // The page is served where the endpoint is, also behind a proxy that adds a path in front.
      fetcher: createFetcher(window.location.pathname, rememberAuthorization()),
      storage: createStorage(),
      shouldPersistHeaders: false,
      isHeadersEditorEnabled: true,
      defaultEditorToolsVisibility: "headers",
      defaultHeaders: headers,
      defaultTabs: examples.map((example) => ({ ...example, headers })),
      inputValueDeprecation: true,
      plugins: [GraphiQLPluginExplorer.explorerPlugin({ showAttribution: false })],
    },
    // The bar above says whose page this is; without this child GraphiQL links to its own site here.
    h(GraphiQL.Logo, null, h("span")),
  ),
);
