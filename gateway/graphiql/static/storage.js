// GraphiQL stores queries, headers and responses in its storage. Headers contain access tokens, and responses contain
// customers' names, so this storage is the page's memory, which ends with the page. Only the choices between light and
// dark, and of the open plugin, are stored in the browser.

const KEPT_KEYS = new Map([
  ["graphiql:theme", new Set(["light", "dark"])],
  ["graphiql:visiblePlugin", new Set(["Builder", "Documentation Explorer", "none"])],
]);

/** A storage for GraphiQL's `storage` prop: memory for everything but the theme. */
export function createStorage(durable = browserStorage()) {
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

/** Returns localStorage, or null if the browser forbids it (then even reading the property throws). */
function browserStorage() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
