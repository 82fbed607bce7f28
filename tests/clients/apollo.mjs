// Apollo Client walks the report at the given address in a component that shows nothing; prints the rows of the walk
// forward, of one by a filter with the same cache, and of that backward as JSON.
import { readFileSync } from "node:fs";
import { act, createElement } from "react";
import { create } from "react-test-renderer";

const [url, token, pageRows, filter] = process.argv.slice(2);
const ROWS = gql(readFileSync("rows.graphql", "utf8"));
globalThis.IS_REACT_ACT_ENVIRONMENT = true;

// README: begin
import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { ApolloProvider, useQuery } from "@apollo/client/react";
import { relayStylePagination } from "@apollo/client/utilities";

const newClient = () =>
  new ApolloClient({
    link: new HttpLink({ uri: url, headers: { Authorization: `Bearer ${token}` } }),
    cache: new InMemoryCache({
      typePolicies: {
        Query: {
          fields: { licenseDeployments: relayStylePagination(["filter", "groupBy", "processedDateTime"]) },
        },
      },
    }),
  });

/** Returns the rows loaded so far, and functions that load more. `variables` are those of the first page. */
function useDeployments(variables) {
  const { data, fetchMore } = useQuery(ROWS, { variables });
  const { edges = [], pageInfo } = data?.licenseDeployments ?? {};
  return {
    rows: edges.map((edge) => edge.node),
    hasNext: pageInfo?.hasNextPage,
    loadNext: () => fetchMore({ variables: { after: pageInfo.endCursor } }),
    hasPrevious: pageInfo?.hasPreviousPage,
    loadPrevious: () => fetchMore({ variables: { before: pageInfo.startCursor } }),
  };
}
// README: end

/** Lets React and the cache work until `done`; what the cache learns is shown a moment later. */
async function until(done) {
  while (!done()) await act(() => new Promise((soon) => setTimeout(soon)));
}

async function walk(client, variables, load, more) {
  let shown = { rows: [] };
  function Shown() {
    shown = useDeployments(variables);
    return null;
  }
  await act(() => create(createElement(ApolloProvider, { client }, createElement(Shown))));
  await until(() => shown.rows.length > 0);
  while (shown[more]) {
    const before = shown.rows.length;
    await act(() => shown[load]());
    await until(() => shown.rows.length > before);
  }
  return shown.rows;
}

const first = Number(pageRows);
const client = newClient();
const forward = await walk(client, { first }, "loadNext", "hasNext");
const filtered = await walk(client, { first, filter: JSON.parse(filter) }, "loadNext", "hasNext");
const backward = await walk(newClient(), { last: first }, "loadPrevious", "hasPrevious");
console.log(JSON.stringify({ forward, filtered, backward }));
