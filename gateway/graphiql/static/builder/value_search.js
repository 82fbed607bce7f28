// Finds the values of a dimension that contain the typed words, as the gateway's search does (views/text_key.py).

import { readValues, valuesOperation } from "./values.js";

const { useEffect, useState } = window.React;

const MARKS = /\p{M}/gu;
// Short enough to feel immediate, and long enough that a typed word makes one request.
const PAUSE_MS = 300;

/** Returns the words of a text, without case and accents. */
function wordsOf(text) {
  return folded(text).split(/\s+/).filter(Boolean);
}

/** Upper case makes two letters of "ß", as the gateway does. */
function folded(text) {
  return text.normalize("NFKD").replaceAll(MARKS, "").toUpperCase().toLowerCase().replaceAll("ς", "σ");
}

function matching(values, words) {
  if (words.length === 0) return values;
  return values.filter(({ text }) => {
    const key = folded(text);
    return words.every((word) => key.includes(word));
  });
}

/**
 * Returns the `values` that contain the typed words, and their `count`. If not all values are `loaded` (values.js), the
 * gateway searches them, once nothing more is typed: until then, `isLoading`. `problem` says why it found nothing.
 */
export function useValueSearch(loaded, dimension, typed, ask) {
  const words = wordsOf(typed);
  const { query, values, total } = loaded;
  const wanted = words.length > 0 && query && !loaded.isWhole ? typed.trim() : null;
  const [found, setFound] = useState({});
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    if (wanted === null) return undefined;
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      const { measure, operation } = valuesOperation(query, dimension, wanted);
      const answer = await ask(operation, abort.signal);
      if (!abort.signal.aborted) setFound({ wanted, query, ...readValues(answer, dimension, measure) });
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [wanted, query, attempt]);
  const local = matching(values, words);
  if (wanted === null) return { values: local, count: words.length === 0 ? total : local.length };
  if (found.wanted !== wanted || found.query !== query) return { values: local, isLoading: true };
  const again = () => {
    setFound({});
    setAttempt(attempt + 1);
  };
  return { ...found, count: found.total, again };
}
