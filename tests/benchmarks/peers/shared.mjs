// Shared by both servers: the schema, and the rows from the upstream.
import { Pool } from "undici";

const PATH = "/partner/v1/analytics/commercial/deployment/license";

export const [port, upstream] = [Number(process.argv[2]), process.argv[3]];
// The most answers in either cache; each of 10,000 rows takes megabytes.
export const CACHED_ANSWERS = 16;
export const FRESH_SECONDS = 900;

export const typeDefs = /* GraphQL */ `
  type LicenseDeployment {
    serviceCode: String
    serviceName: String
    channel: String
    customerTenantId: String
    customerName: String
    productId: String
    productName: String
    licensesDeployed: Int
    licensesSold: Int
    processedDateTime: String
  }
  type Edge {
    cursor: String!
    node: LicenseDeployment!
  }
  type Connection {
    totalCount: Int
    nodes: [LicenseDeployment!]!
    edges: [Edge!]!
  }
  type Query {
    licenseDeployments(first: Int = 100, offset: Int = 0): Connection
  }
`;

const pool = new Pool(upstream, { connections: 100 });

async function licenseDeployments(_, { first, offset }, { token }) {
  const path = `${PATH}?top=${first}&skip=${offset}`;
  const headers = { authorization: token, accept: "application/json" };
  const { statusCode, body } = await pool.request({ path, method: "GET", headers });
  const page = await body.json();
  if (statusCode !== 200) throw new Error(`The upstream answered ${statusCode}`);
  return { totalCount: page.TotalCount, nodes: page.Value, start: offset };
}

export const resolvers = {
  Query: { licenseDeployments },
  Connection: {
    edges: ({ nodes, start }) => nodes.map((node, index) => ({ cursor: `row:${start + index}`, node })),
  },
};
