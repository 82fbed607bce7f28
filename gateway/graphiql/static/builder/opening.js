// Which plugin GraphiQL opens with: the builder, until somebody chooses another or none.

const { createElement: h } = window.React;
const { createRoot, flushSync } = window.ReactDOM;
const { PluginContextProvider } = window.GraphiQL.React;

const KEY = "graphiql:visiblePlugin";
const NONE = "none";

/** Returns the properties of GraphiQL that open the plugin or the user's former choice, and store the next choice. */
export function openingWith(plugin, storage) {
  let current = storage.getItem(KEY) ?? plugin.title;
  const visiblePlugin = current === NONE ? undefined : current;
  prepare({ plugins: [plugin], visiblePlugin });
  return {
    visiblePlugin,
    onTogglePluginVisibility(next) {
      const title = next?.title ?? NONE;
      if (title !== current) storage.setItem(KEY, title);
      current = title;
    },
  };
}

/** Gives the plugins to GraphiQL's store, from which its first rendering takes whether the plugins' pane is hidden. */
function prepare(properties) {
  const root = createRoot(document.createElement("div"));
  flushSync(() => root.render(h(PluginContextProvider, properties, null)));
  root.unmount();
}
