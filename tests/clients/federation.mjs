// Composes the subgraphs of the arguments, name=file, and prints the supergraph, or the errors with exit code 1.
import { readFileSync } from "node:fs";
import { composeServices, compositionHasErrors } from "@theguild/federation-composition";
import { parse } from "graphql";

const subgraphs = process.argv.slice(2).map((argument) => {
  const [name, file] = argument.split("=");
  return { name, url: `http://${name}.invalid/graphql`, typeDefs: parse(readFileSync(file, "utf8")) };
});
const composed = composeServices(subgraphs);
if (compositionHasErrors(composed)) {
  console.error(composed.errors.map((error) => error.message).join("\n"));
  process.exit(1);
}
console.log(composed.supergraphSdl);
