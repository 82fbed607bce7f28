// Links to an operation. The fragment of the URL has its text and variables, and nothing else; browsers do not send it.

/** Returns a link that opens this page with `query` and the JSON text `variables`. */
export function linkTo(query, variables, page = window.location) {
  const fragment = new URLSearchParams({ query, ...(variables.trim() && { variables }) });
  return `${page.origin}${page.pathname}#${fragment}`;
}

/**
 * Returns the tab of the operation in the page's URL, or null; removes the operation from the URL, because a reload
 * after an edit would bring the old one back.
 */
export function takeSharedTab(page = window.location) {
  const shared = new URLSearchParams(page.hash.slice(1));
  const query = shared.get("query");
  if (!query) return null;
  window.history.replaceState(null, "", page.pathname + page.search);
  return { query, variables: shared.get("variables") };
}
