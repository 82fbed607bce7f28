// The operation in view as a curl command for a POSIX shell. What is copied gets pasted into chats and tickets, so the
// token, and whatever else may be secret among the headers, stays behind: the command takes it from shell variables.

// These the gateway reads, and they are no secrets.
const PLAIN_HEADERS = new Set(["x-locale", "ms-correlationid"]);
// Written by the command itself.
const OWN_HEADERS = new Set(["authorization", "content-type"]);
// Of the names that HTTP allows, those that make a shell variable.
const NAME = /^[a-z][\w-]*$/i;

/** The command; throws a SyntaxError where `variables` or `headers`, both texts, are not JSON. */
export function curlCommand({ url, query, variables, operationName, headers }) {
  const body = { query, ...parsed("variables", variables, "Variables"), ...(operationName ? { operationName } : {}) };
  const { headers: others = {} } = parsed("headers", headers, "Headers");
  const names = Object.keys(others).filter((name) => NAME.test(name) && !OWN_HEADERS.has(name.toLowerCase()));
  const options = [
    '-H "Authorization: Bearer $TOKEN"',
    "-H 'Content-Type: application/json'",
    ...names.map((name) => headerOption(name, String(others[name]))),
    `-d ${quoted(JSON.stringify(body))}`,
  ];
  return [`curl -s ${quoted(url)}`, ...options].join(" \\\n    ");
}

function headerOption(name, value) {
  if (PLAIN_HEADERS.has(name.toLowerCase())) return `-H ${quoted(`${name}: ${value}`)}`;
  return `-H "${name}: $${name.toUpperCase().replaceAll("-", "_")}"`;
}

/** `{[key]: value}` for a pane that holds something, else `{}`. */
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

/** Puts `text` on the clipboard and tells whether it is there. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyByCommand(text);
  }
}

/** The older way, for pages that come over plain HTTP from another machine: there is no clipboard API on those. */
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
