// Runs every audit against the server at the given address; prints [id, name, status, reason] of each as JSON.
// The caller says where graphql-http is, because it is installed outside the repository.
import { pathToFileURL } from "node:url";

const [library, url] = process.argv.slice(2);
const { serverAudits } = await import(pathToFileURL(library));
const results = [];
for (const audit of serverAudits({ url })) {
  const { status, reason } = await audit.fn();
  results.push([audit.id, audit.name, status, reason ?? null]);
}
console.log(JSON.stringify(results));
