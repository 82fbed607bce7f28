// An answer belongs to the token that it was asked with. Once another is chosen, it must not pass for that one's.

const { useEffect, useRef, useState } = window.React;

/** The token that the tab in view would send (`token`), and the one its answer was asked with (`asked`). */
export function useTokens(authorization, tabId, isFetching) {
  const [token, setToken] = useState(undefined);
  const askedByTab = useRef(new Map());
  useEffect(() => authorization.watch(setToken), [authorization]);
  useEffect(() => {
    if (isFetching) askedByTab.current.set(tabId, token);
  }, [isFetching]);
  const asked = askedByTab.current;
  return { token, asked: asked.has(tabId) ? asked.get(tabId) : token };
}

/** Says of an answer whose it is and how to get another; only tokens among `names`, no secrets, are named. */
export function tellOtherToken({ token, asked }, names) {
  if (asked === token) return "";
  const whose = asked === undefined ? "was asked without a token" : "was asked with another token";
  return [
    names.has(asked) ? `This is ${asked}'s answer.` : `This answer ${whose}.`,
    names.has(token) ? `Run the operation to ask as ${token}.` : "Run the operation again.",
  ].join(" ");
}
