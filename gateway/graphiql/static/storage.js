// GraphiQL keeps queries, headers and answers in whatever storage it is given. Headers hold access tokens and answers
// hold customers' names, so all of it lives in this page's memory and is gone with the page. The one thing worth
// keeping, the choice between light and dark, goes to the browser's own storage.

const KEPT_KEYS = new Map([["graphiql:theme", new Set(["light", "dark"])]]);

/** A storage as GraphiQL's `storage` prop wants it: memory for everything but the theme. */
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

/** localStorage, or null where the browser forbids it (the mere mention throws there). */
function browserStorage() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
