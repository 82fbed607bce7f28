// Carries GraphiQL's operations to the gateway. Whatever goes wrong on the way becomes an ordinary GraphQL answer with
// an error in it, so that the result pane always says what happened.

/** A GraphiQL fetcher for `url`; `prepareHeaders` has the last word on the headers of the Headers pane. */
export function createFetcher(url, prepareHeaders) {
  // Answers as an observable, because GraphiQL's stop button acts on those: it cancels the request, and the gateway
  // its work, where a promise would only be forgotten.
  return (operation, { headers = {} } = {}) => ({
    subscribe(observer) {
      const abort = new AbortController();
      ask(url, operation, prepareHeaders(headers), abort.signal).then((answer) => {
        if (abort.signal.aborted) return;
        observer.next(answer);
        observer.complete();
      });
      return { unsubscribe: () => abort.abort() };
    },
  });
}

async function ask(url, operation, headers, signal) {
  let requestHeaders;
  try {
    requestHeaders = new Headers(headers);
  } catch {
    return failure("INVALID_HEADERS", "The Headers pane holds a name or a value that HTTP cannot carry.");
  }
  requestHeaders.set("Content-Type", "application/json");
  requestHeaders.set("Accept", "application/graphql-response+json, application/json;q=0.9");
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: requestHeaders,
      body: JSON.stringify(operation),
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      signal,
    });
    return parse(await response.text(), response);
  } catch {
    // fetch tells a page no more than this, on purpose.
    return failure("NETWORK_ERROR", "No answer from the gateway. Is it still running, and the network up?");
  }
}

function parse(text, response) {
  try {
    return JSON.parse(text);
  } catch {
    const status = `${response.status} ${response.statusText}`.trim();
    return failure("NOT_JSON", `The answer (HTTP ${status}) is not JSON; something between here and the gateway sent it.`);
  }
}

function failure(code, message) {
  return { errors: [{ message, extensions: { code } }] };
}
