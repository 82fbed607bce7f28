// Relay's usePaginationFragment walks the report at the given address in a component that shows nothing; prints the rows
// of the walk forward, of one by a filter with the same store, and of that backward as JSON.
require("@babel/register")({ plugins: ["relay", "@babel/plugin-transform-modules-commonjs"], cache: false });
const React = require("react");
const { RelayEnvironmentProvider, loadQuery, usePreloadedQuery } = require("react-relay");
const { Environment, Network, RecordSource, Store } = require("relay-runtime");
const { act, create } = require("react-test-renderer");
const { page, useDeployments } = require("./Deployments.js");

const [url, token, pageRows, filter] = process.argv.slice(2);
const rowsAPage = Number(pageRows);
globalThis.IS_REACT_ACT_ENVIRONMENT = true;

async function ask({ text }, variables) {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify({ query: text, variables }) });
  return response.json();
}

const newEnvironment = () => new Environment({ network: Network.create(ask), store: new Store(new RecordSource()) });

/** All rows: `variables` ask for the first page, `load` and `more` name what gives the others. */
async function walk(environment, variables, load, more) {
  const preloaded = loadQuery(environment, page, variables);
  let shown;
  function Shown() {
    shown = useDeployments(usePreloadedQuery(page, preloaded));
    return null;
  }
  const inSuspense = React.createElement(React.Suspense, { fallback: null }, React.createElement(Shown));
  await act(async () => {
    create(React.createElement(RelayEnvironmentProvider, { environment }, inSuspense));
    await preloaded.source.toPromise();
  });
  while (shown[more]) {
    await act(
      () => new Promise((done, fail) => shown[load](rowsAPage, { onComplete: (error) => (error ? fail(error) : done()) })),
    );
  }
  return shown.rows;
}

(async () => {
  const environment = newEnvironment();
  const first = rowsAPage;
  const forward = await walk(environment, { first }, "loadNext", "hasNext");
  const filtered = await walk(environment, { first, filter: JSON.parse(filter) }, "loadNext", "hasNext");
  const backward = await walk(newEnvironment(), { last: first }, "loadPrevious", "hasPrevious");
  console.log(JSON.stringify({ forward, filtered, backward }));
})();
