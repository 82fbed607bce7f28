// Improves GraphiQL's editors for keyboards, screen readers and small screens.

const NAMES = { queryEditor: "Query", variableEditor: "Variables", headerEditor: "Headers", responseEditor: "Answer" };

const { useEffect, useRef } = window.React;
const { useEditorContext } = window.GraphiQL.React;

/** Prepares each of GraphiQL's editors as soon as it exists, and returns all of them. */
export function useEditors() {
  const editors = useEditorContext({ nonNull: true });
  for (const [key, name] of Object.entries(NAMES)) {
    const editor = editors[key];
    useEffect(() => (editor ? prepare(editor, name) : undefined), [editor]);
  }
  return editors;
}

/** Focuses the query of a newly opened tab; GraphiQL leaves the focus on the plus sign. */
export function useFocusInNewTab({ queryEditor, tabs }) {
  const count = useRef(tabs.length);
  useEffect(() => {
    if (tabs.length > count.current) queryEditor?.focus();
    count.current = tabs.length;
  }, [tabs.length]);
}

function prepare(editor, name) {
  editor.getInputField().setAttribute("aria-label", name);
  editor.setOption("lineWrapping", true);
  // CodeMirror would indent, which traps keyboard users in the editor (WCAG 2.2, 2.1.2).
  const keys = { Tab: false, "Shift-Tab": false };
  editor.addKeyMap(keys);
  return () => editor.removeKeyMap(keys);
}
