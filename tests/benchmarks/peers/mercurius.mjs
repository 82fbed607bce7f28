// Mercurius on Fastify, with its JIT and its cache. node mercurius.mjs PORT UPSTREAM
import Fastify from "fastify";
import mercurius from "mercurius";
import cache from "mercurius-cache";
import { FRESH_SECONDS, CACHED_ANSWERS, port, resolvers, typeDefs } from "./shared.mjs";

const app = Fastify({ logger: false });
app.register(mercurius, {
  schema: typeDefs,
  resolvers,
  jit: 1,
  context: (request) => ({ token: request.headers.authorization }),
});
app.register(cache, {
  ttl: FRESH_SECONDS,
  storage: { type: "memory", options: { size: CACHED_ANSWERS } },
  policy: { Query: { licenseDeployments: { extendKey: (_source, _args, context) => context.token } } },
});
await app.listen({ port, host: "127.0.0.1" });
