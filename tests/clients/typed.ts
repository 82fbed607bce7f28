// Paginates the report at an address with the types that graphql-codegen generates from rows.graphql. Prints as JSON
// the rows of a forward pagination, of a filtered one, and of a backward one.

const [url = "", token = "", pageRows = "", filter = ""] = process.argv.slice(2);
const first = Number(pageRows);

// README: begin
import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { print } from "graphql";
import { RowsDocument, type LicenseDeploymentFilter, type RowsQuery } from "./generated";

async function ask<Data, Variables>(document: TypedDocumentNode<Data, Variables>, variables: Variables): Promise<Data> {
  const response = await fetch(url, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ query: print(document), variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(`${errors[0].extensions.code}: ${errors[0].message}`);
  return data;
}

type Row = NonNullable<RowsQuery["licenseDeployments"]>["edges"][number]["node"];

async function allRows(filter?: LicenseDeploymentFilter): Promise<Row[]> {
  const rows: Row[] = [];
  let after: string | null | undefined;
  do {
    const { licenseDeployments: list } = await ask(RowsDocument, { filter, first, after });
    rows.push(...(list?.edges.map((edge) => edge.node) ?? []));
    after = list?.pageInfo.hasNextPage ? list.pageInfo.endCursor : null;
  } while (after);
  return rows;
}
// README: end

async function backward(): Promise<Row[]> {
  const rows: Row[] = [];
  let before: string | null | undefined;
  do {
    const { licenseDeployments: list } = await ask(RowsDocument, { last: first, before });
    rows.unshift(...(list?.edges.map((edge) => edge.node) ?? []));
    before = list?.pageInfo.hasPreviousPage ? list.pageInfo.startCursor : null;
  } while (before);
  return rows;
}

void (async () => {
  const [forward, filtered] = [await allRows(), await allRows(JSON.parse(filter))];
  console.log(JSON.stringify({ forward, filtered, backward: await backward() }));
})();
