// The current operation as a curl command for a POSIX shell. People paste it into chats and tickets, so the command has
// neither the token nor other headers that may be secret: it reads them from shell variables.

import { extensionsOf } from "./operation.js";

// Headers that the gateway reads and that are not secret.
const PLAIN_HEADERS = new Set(["x-locale", "ms-correlationid"]);
// Headers that the command sets itself.
const OWN_HEADERS = new Set(["authorization", "content-type"]);
// Header names that can be shell variables.
const NAME = /^[a-z][\w-]*$/i;

/** Returns the command; throws a SyntaxError if `variables` or `headers` is not JSON text. */
export function curlCommand({ url, query, variables, operationName, headers }) {
  const operation = {
    query,
    ...parsed("variables", variables, "Variables"),
    ...(operationName ? { operationName } : {}),
  };
  const { headers: others = {} } = parsed("headers", headers, "Headers");
  const names = Object.keys(others).filter((name) => NAME.test(name) && !OWN_HEADERS.has(name.toLowerCase()));
  const options = [
    '-H "Authorization: Bearer $TOKEN"',
    "-H 'Content-Type: application/json'",
    ...names.map((name) => headerOption(name, String(others[name]))),
    `-d ${quoted(JSON.stringify({ ...operation, ...extensionsOf(operation) }))}`,
  ];
  return [`curl -sS ${quoted(url)}`, ...options].join(" \\\n    ");
}

function headerOption(name, value) {
  if (PLAIN_HEADERS.has(name.toLowerCase())) return `-H ${quoted(`${name}: ${value}`)}`;
  return `-H "${name}: $${name.toUpperCase().replaceAll("-", "_")}"`;
}

/** Returns `{[key]: value}` for a pane with content, else `{}`. */
function parsed(key, text, pane) {
  if (text.trim() === "") return {};
  try {
    return { [key]: JSON.parse(text) ?? {} };
  } catch {
    throw new SyntaxError(`The ${pane} pane is not JSON.`);
  }
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Copies `text` to the clipboard and returns whether that succeeded. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyByCommand(text);
  }
}

/** The older way, for pages from another machine over plain HTTP, which have no clipboard API. */
function copyByCommand(text) {
  const { activeElement } = document;
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  activeElement?.focus();
  return isCopied;
}
