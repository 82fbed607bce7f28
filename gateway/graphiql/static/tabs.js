// The tabs that the page opens with, and keeps for a reload.

import { keepTabs } from "./storage.js";

const { useEffect } = window.React;

// The start of a JSON Web Token, which a terminal may have wrapped: JSON's {" in base64. Nobody needs one in an operation,
// so it is there by mistake.
const JWT = /\beyJ[\w-]{10,}/;

/**
 * Returns the `tabs` ({query, variables}) and the index of the `active` one. `isFresh` if nobody but the page has chosen
 * them: then the first example may run at once. `kept` are those of storage.js, and `shared` is the operation of a link;
 * both may be null.
 */
export function openingTabs({ examples, kept, shared }) {
  const { tabs, active } = kept ?? { tabs: examples, active: 0 };
  if (shared === null) return { tabs, active, isFresh: kept === null };
  const same = tabs.findIndex((tab) => isSame(tab, shared));
  if (same >= 0) return { tabs, active: same, isFresh: false };
  return { tabs: [shared, ...tabs], active: 0, isFresh: false };
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

/** Keeps the text of the tabs when the page is left, unless they are the examples as they were. */
export function useKeptTabs({ tabs, activeTabIndex, queryEditor, variableEditor }, examples) {
  useEffect(() => {
    if (!queryEditor || !variableEditor) return undefined;
    const keep = () => {
      // GraphiQL takes over the text of the editors after a while.
      const current = { query: queryEditor.getValue(), variables: variableEditor.getValue() };
      const texts = tabs.map((tab, index) => textOf(index === activeTabIndex ? current : tab));
      const isUnchanged = texts.length === examples.length && texts.every((tab, index) => isSame(tab, examples[index]));
      keepTabs(isUnchanged ? null : withoutTokens(texts, activeTabIndex));
    };
    window.addEventListener("pagehide", keep);
    document.addEventListener("visibilitychange", keep);
    return () => {
      window.removeEventListener("pagehide", keep);
      document.removeEventListener("visibilitychange", keep);
    };
  }, [tabs, activeTabIndex, queryEditor, variableEditor]);
}

/** Scrolls the bar of tabs so that the current one is visible. */
export function useTabInView(activeTabIndex) {
  useEffect(() => {
    const tabs = document.querySelectorAll(".graphiql-tab");
    tabs[activeTabIndex]?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [activeTabIndex]);
}

function textOf({ query, variables }) {
  return { query, variables };
}

function withoutTokens(tabs, active) {
  const left = tabs.filter(({ query, variables }) => !JWT.test(`${query} ${variables}`));
  return left.length === 0 ? null : { tabs: left, active: Math.max(0, left.indexOf(tabs[active])) };
}

/** Returns the name of the first operation, as GraphiQL itself finds it. */
function nameOf(query) {
  return /^(?!#).*(?:query|subscription|mutation)\s+(\w+)/m.exec(query ?? "")?.[1] ?? null;
}

function isSame(one, other) {
  const text = (part) => (part ?? "").trim();
  return text(one.query) === text(other.query) && text(one.variables) === text(other.variables);
}
