// GraphQL Yoga on Node's own server, with graphql-jit and the response cache. node yoga.mjs PORT UPSTREAM
import { createServer } from "node:http";
import { useGraphQlJit } from "@envelop/graphql-jit";
import { createInMemoryCache, useResponseCache } from "@graphql-yoga/plugin-response-cache";
import { createSchema, createYoga } from "graphql-yoga";
import { FRESH_SECONDS, CACHED_ANSWERS, port, resolvers, typeDefs } from "./shared.mjs";

const yoga = createYoga({
  schema: createSchema({ typeDefs, resolvers }),
  logging: false,
  graphiql: false,
  landingPage: false,
  context: ({ request }) => ({ token: request.headers.get("authorization") }),
  plugins: [
    useGraphQlJit(),
    useResponseCache({
      session: (request) => request.headers.get("authorization"),
      ttl: FRESH_SECONDS * 1000,
      cache: createInMemoryCache({ max: CACHED_ANSWERS }),
    }),
  ],
});
createServer(yoga).listen(port, "127.0.0.1");
