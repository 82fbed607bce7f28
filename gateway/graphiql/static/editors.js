// Improves GraphiQL's editors for keyboards, screen readers and small screens.

const NAMES = { queryEditor: "Query", variableEditor: "Variables", headerEditor: "Headers", responseEditor: "Answer" };

const { useEffect, useRef, useState } = window.React;
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

/** Returns an editor's text, and updates it. */
export function useText(editor) {
  const [text, setText] = useState("");
  useEffect(() => {
    if (!editor) return undefined;
    const follow = () => setText(editor.getValue());
    follow();
    editor.on("changes", follow);
    return () => editor.off("changes", follow);
  }, [editor]);
  return text;
}

/** Replaces an editor's text where it differs, so that the cursor and the scrolled place stay. */
export function replaceText(editor, text) {
  const old = editor.getValue();
  if (old === text) return;
  const shorter = Math.min(old.length, text.length);
  let start = 0;
  while (start < shorter && old[start] === text[start]) start += 1;
  let end = 0;
  while (end < shorter - start && old[old.length - 1 - end] === text[text.length - 1 - end]) end += 1;
  const range = [start, old.length - end].map((index) => editor.posFromIndex(index));
  editor.replaceRange(text.slice(start, text.length - end), ...range);
}

function prepare(editor, name) {
  editor.getInputField().setAttribute("aria-label", name);
  editor.setOption("lineWrapping", true);
  // CodeMirror would indent, which traps keyboard users in the editor (WCAG 2.2, 2.1.2).
  const keys = { Tab: false, "Shift-Tab": false };
  editor.addKeyMap(keys);
  return () => editor.removeKeyMap(keys);
}
