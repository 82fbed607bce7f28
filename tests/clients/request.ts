// Paginates the report at an address with graphql-request and the types that graphql-codegen generates. Prints as JSON
// the rows of a forward pagination, of a filtered one, and of a backward one, and the codes of two errors.

const [url = "", token = "", pageRows = "", filter = ""] = process.argv.slice(2);
const first = Number(pageRows);

// README: begin
import { ClientError, GraphQLClient } from "graphql-request";
import { RowsDocument, type LicenseDeploymentFilter, type RowsQuery } from "./generated";

const newClient = (token: string) => new GraphQLClient(url, { headers: { Authorization: `Bearer ${token}` } });

type Row = NonNullable<RowsQuery["licenseDeployments"]>["edges"][number]["node"];

async function allRows(client: GraphQLClient, filter?: LicenseDeploymentFilter): Promise<Row[]> {
  const rows: Row[] = [];
  let after: string | null | undefined;
  do {
    const { licenseDeployments: list } = await client.request(RowsDocument, { filter, first, after });
    rows.push(...(list?.edges.map((edge) => edge.node) ?? []));
    after = list?.pageInfo.hasNextPage ? list.pageInfo.endCursor : null;
  } while (after);
  return rows;
}

/** The code of an error that `request` threw, or undefined if the gateway did not answer with GraphQL errors. */
function codeOf(error: unknown): unknown {
  return error instanceof ClientError ? error.response.errors?.[0]?.extensions?.code : undefined;
}
// README: end

async function backward(client: GraphQLClient): Promise<Row[]> {
  const rows: Row[] = [];
  let before: string | null | undefined;
  do {
    const { licenseDeployments: list } = await client.request(RowsDocument, { last: first, before });
    rows.unshift(...(list?.edges.map((edge) => edge.node) ?? []));
    before = list?.pageInfo.hasPreviousPage ? list.pageInfo.startCursor : null;
  } while (before);
  return rows;
}

void (async () => {
  const client = newClient(token);
  const [forward, filtered] = [await allRows(client), await allRows(client, JSON.parse(filter))];
  const codes = [
    await client.request(RowsDocument, { first, after: "unknown" }).catch(codeOf),
    await allRows(newClient("unknown")).catch(codeOf),
  ];
  console.log(JSON.stringify({ forward, filtered, backward: await backward(client), codes }));
})();
