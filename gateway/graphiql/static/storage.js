// GraphiQL stores queries, headers and responses in its storage. Headers contain access tokens, and responses contain
// customers' names, so this storage is the page's memory, which ends with the page. The browser stores three things: the
// choices between light and dark and of the open plugin, and, until its tab is closed, the text of edited operations and
// their variables.

const TABS_KEY = "graphiql:keptTabs";
const KEPT_KEYS = new Map([
  ["graphiql:theme", new Set(["light", "dark"])],
  ["graphiql:visiblePlugin", new Set(["Builder", "Documentation Explorer", "none"])],
]);

/** A storage for GraphiQL's `storage` prop: memory for everything but the theme. */
export function createStorage(durable = browserStorage("localStorage")) {
  const memory = new Map();
  const isKept = (key) => durable !== null && KEPT_KEYS.has(key);
  return {
    getItem: (key) => (isKept(key) ? durable.getItem(key) : (memory.get(key) ?? null)),
    setItem(key, value) {
      if (!isKept(key)) memory.set(key, value);
      else if (KEPT_KEYS.get(key).has(value)) durable.setItem(key, value);
    },
    removeItem(key) {
      memory.delete(key);
      if (isKept(key)) durable.removeItem(key);
    },
    clear() {
      memory.clear();
      for (const key of KEPT_KEYS.keys()) durable?.removeItem(key);
    },
    get length() {
      return memory.size;
    },
  };
}

/** Keeps {tabs, active} for a reload of the page; null removes them. */
export function keepTabs(kept) {
  const session = browserStorage("sessionStorage");
  try {
    if (kept === null) session?.removeItem(TABS_KEY);
    else session?.setItem(TABS_KEY, JSON.stringify(kept));
  } catch {
    // More text than the browser stores.
    session.removeItem(TABS_KEY);
  }
}

/** Returns the tabs ({query, variables}) that were kept and the index of the `active` one, or null. */
export function readTabs() {
  try {
    const { tabs, active } = JSON.parse(browserStorage("sessionStorage").getItem(TABS_KEY));
    const texts = tabs.map(({ query, variables }) => ({
      query: String(query ?? ""),
      variables: variables && String(variables),
    }));
    return texts[active] ? { tabs: texts, active } : null;
  } catch {
    return null;
  }
}

/** Returns one of the browser's storages, or null if the browser forbids it (then even reading the property throws). */
function browserStorage(name) {
  try {
    return window[name];
  } catch {
    return null;
  }
}
