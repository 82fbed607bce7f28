// Whether the editors hold another operation than the one that was run.

const { stripIgnoredCharacters } = window.GraphiQL.GraphQL;
const { useEffect, useState } = window.React;

/**
 * Returns {isEdited, notice} about the operation `sent`. `isEdited` if a character of its text differs, or a variable.
 * `notice` says what has changed, if white space and comments do not matter; it is "" before the first run.
 */
export function useEdited({ queryEditor, variableEditor }, sent) {
  const [isEdited, setEdited] = useState(false);
  const [notice, setNotice] = useState("");
  useEffect(() => {
    if (!queryEditor || !variableEditor || !sent) {
      setEdited(false);
      setNotice("");
      return undefined;
    }
    const follow = () => {
      const text = queryEditor.getValue();
      const hasOldValues = hasValues(variableEditor, sent.variables);
      setEdited(text !== sent.query || !hasOldValues);
      setNotice(noticeOf(isSameOperation(text, sent.query), hasOldValues));
    };
    follow();
    for (const editor of [queryEditor, variableEditor]) editor.on("changes", follow);
    return () => [queryEditor, variableEditor].forEach((editor) => editor.off("changes", follow));
  }, [queryEditor, variableEditor, sent]);
  return { isEdited, notice };
}

function noticeOf(hasOldText, hasOldValues) {
  if (hasOldText && hasOldValues) return "";
  return `${hasOldText ? "The variables have" : "The operation has"} changed. Press Run.`;
}

function isSameOperation(text, sent) {
  if (text === sent) return true;
  try {
    return stripIgnoredCharacters(text) === stripIgnoredCharacters(sent);
  } catch {
    // It is being typed.
    return false;
  }
}

function hasValues(editor, variables) {
  try {
    return JSON.stringify(JSON.parse(editor.getValue().trim() || "{}")) === JSON.stringify(variables ?? {});
  } catch {
    return false;
  }
}
