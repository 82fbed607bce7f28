// urql walks the report at the given address; prints the rows of the walk forward, of one by a filter with the same
// cache, and of that backward as JSON.
import { readFileSync } from "node:fs";

const [url, token, pageRows, filter] = process.argv.slice(2);
const first = Number(pageRows);
const ROWS = readFileSync("rows.graphql", "utf8");

// README: begin
import { Client, fetchExchange } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";

function newClient() {
  const embedded = () => null; // rows have no id: they are cached as part of the list
  const cache = cacheExchange({
    keys: {
      LicenseDeployment: embedded,
      LicenseDeploymentConnection: embedded,
      LicenseDeploymentEdge: embedded,
      PageInfo: embedded,
    },
    resolvers: { Query: { licenseDeployments: relayPagination() } },
  });
  const fetchOptions = { headers: { Authorization: `Bearer ${token}` } };
  return new Client({ url, exchanges: [cache, fetchExchange], fetchOptions });
}

async function pageOf(client, variables) {
  const { data, error } = await client.query(ROWS, variables).toPromise();
  if (error) throw error;
  return data.licenseDeployments; // this page, merged with all cached pages of the list
}

async function allRows(client, filter) {
  let list = await pageOf(client, { filter, first });
  while (list.pageInfo.hasNextPage) list = await pageOf(client, { filter, first, after: list.pageInfo.endCursor });
  return list.edges.map((edge) => edge.node);
}
// README: end

async function backward() {
  const client = newClient();
  let list = await pageOf(client, { last: first });
  while (list.pageInfo.hasPreviousPage) {
    list = await pageOf(client, { last: first, before: list.pageInfo.startCursor });
  }
  return list.edges.map((edge) => edge.node);
}

const client = newClient();
const forward = await allRows(client);
const filtered = await allRows(client, JSON.parse(filter));
console.log(JSON.stringify({ forward, filtered, backward: await backward() }));
