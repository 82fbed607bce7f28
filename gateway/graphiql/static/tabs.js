// The tabs that the page opens with.

/**
 * Returns the `tabs` ({query, variables}) and the index of the `active` one. `isFresh` if nobody but the page has chosen
 * them: then the first example may run at once. `shared` is the operation of a link, or null.
 */
export function openingTabs(examples, shared) {
  if (shared === null) return { tabs: examples, active: 0, isFresh: true };
  const same = examples.findIndex((tab) => isSame(tab, shared));
  if (same >= 0) return { tabs: examples, active: same, isFresh: false };
  return { tabs: [shared, ...examples], active: 0, isFresh: false };
}

/** Returns the text of the tabs for GraphiQL's storage. Its own property for first tabs always opens the first one. */
export function tabState({ tabs, active }) {
  const state = tabs.map(({ query, variables }, index) => ({
    id: `opened-${index}`,
    title: nameOf(query) ?? "<untitled>",
    query,
    variables,
    // GraphiQL then takes its default headers.
    headers: null,
    operationName: nameOf(query),
    response: null,
  }));
  return JSON.stringify({ tabs: state, activeTabIndex: active });
}

/** Returns the name of the first operation, as GraphiQL itself finds it. */
function nameOf(query) {
  return /^(?!#).*(?:query|subscription|mutation)\s+(\w+)/m.exec(query ?? "")?.[1] ?? null;
}

function isSame(one, other) {
  const text = (part) => (part ?? "").trim();
  return text(one.query) === text(other.query) && text(one.variables) === text(other.variables);
}
