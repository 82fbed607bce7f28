// Each GraphiQL tab has headers of its own. A token pasted into one of them should not have to be pasted into the
// others, so the last one sent is remembered, in this closure and nowhere else, and used by tabs that still show
// the placeholder.

const PLACEHOLDER = "Bearer <paste an access token here>";

/** The text that the Headers pane of a new tab starts with. */
export function startHeaders(sandbox) {
  return JSON.stringify({ Authorization: sandbox ? "Bearer contoso" : PLACEHOLDER }, null, 2);
}

/** Returns the function that turns a tab's headers into those to send; a placeholder is never sent. */
export function rememberAuthorization() {
  let last = null;
  return (headers) => {
    const name = Object.keys(headers).find((key) => key.toLowerCase() === "authorization");
    if (name === undefined) return headers;
    if (headers[name] !== PLACEHOLDER) {
      last = headers[name];
      return headers;
    }
    const { [name]: _placeholder, ...others } = headers;
    return last === null ? others : { ...others, Authorization: last };
  };
}
