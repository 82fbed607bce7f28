// Marks a response to another token than the chosen one, so that nobody takes it for the chosen token's response.

const { useEffect, useRef, useState } = window.React;

/** Returns the token that the current tab would send (`token`), and the token of its response (`responseToken`). */
export function useTokens(authorization, tabId, isFetching) {
  const [token, setToken] = useState(undefined);
  const tokenByTab = useRef(new Map());
  useEffect(() => authorization.watch(setToken), [authorization]);
  useEffect(() => {
    if (isFetching) tokenByTab.current.set(tabId, token);
  }, [isFetching]);
  const tokens = tokenByTab.current;
  return { token, responseToken: tokens.has(tabId) ? tokens.get(tabId) : token };
}

/** Returns a notice about a response to another token. It names only tokens in `names`, which are not secret. */
export function otherTokenNotice({ token, responseToken }, names) {
  if (responseToken === token) return "";
  const whose = responseToken === undefined ? "was asked without a token" : "was asked with another token";
  return [
    names.has(responseToken) ? `This is ${responseToken}'s answer.` : `This answer ${whose}.`,
    names.has(token) ? `Run the operation to ask as ${token}.` : "Run the operation again.",
  ].join(" ");
}
