// Asks the gateway at the given address one question three times with each client; prints, for each, what every request
// held and the answers. It is copied beside the installed clients, so that it finds them.
import { createHash } from "node:crypto";
import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { Client, fetchExchange } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";

const [url, token] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const sha256 = (text) => createHash("sha256").update(text).digest("hex");

/** A fetch that notes each request's method, whether it held the text, and the response's status. */
function noting(requests) {
  return async (address, options) => {
    const method = options.method ?? "GET";
    const { searchParams } = new URL(address);
    const sent = method === "GET" ? Object.fromEntries(searchParams) : JSON.parse(options.body);
    const response = await fetch(address, options);
    requests.push([method, sent.query ? "text" : "hash", response.status]);
    return response;
  };
}

async function thrice(ask) {
  const requests = [];
  const run = ask(noting(requests));
  const answers = [];
  for (let times = 0; times < 3; times++) answers.push(await run());
  return { requests, answers };
}

function apollo(name, options) {
  const query = gql`query ${name} { licenseDeployments { totalCount } }`;
  return (noted) => {
    const link = new PersistedQueryLink({ sha256, ...options }).concat(new HttpLink({ uri: url, headers, fetch: noted }));
    const client = new ApolloClient({ link, cache: new InMemoryCache() });
    return async () => {
      const { data } = await client.query({ query, fetchPolicy: "network-only" });
      return data.licenseDeployments.totalCount;
    };
  };
}

function urql(name, options) {
  const query = `query ${name} { licenseDeployments { totalCount } }`;
  return (noted) => {
    const exchanges = [persistedExchange(options), fetchExchange];
    const client = new Client({ url, exchanges, fetch: noted, fetchOptions: { headers } });
    return async () => {
      const { data, error } = await client.query(query, {}, { requestPolicy: "network-only" }).toPromise();
      return error ? String(error) : data.licenseDeployments.totalCount;
    };
  };
}

console.log(
  JSON.stringify({
    "Apollo by POST": await thrice(apollo("ApolloPost", {})),
    "Apollo by GET": await thrice(apollo("ApolloGet", { useGETForHashedQueries: true })),
    "urql by POST": await thrice(urql("UrqlPost", { preferGetForPersistedQueries: false })),
    "urql by GET": await thrice(urql("UrqlGet", { preferGetForPersistedQueries: true })),
  }),
);
