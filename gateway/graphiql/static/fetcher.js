// Sends GraphiQL's operations to the gateway. Any failure becomes a GraphQL response with an error, so that the result
// pane always shows what happened.

import { exchangeOf } from "./exchange.js";
import { extensionsOf, withFittingName } from "./operation.js";

// GraphiQL itself sends this one.
const INTROSPECTION = "IntrospectionQuery";

/**
 * Returns a GraphiQL fetcher for `url`; `prepareHeaders` makes the sent headers from those of the Headers pane. `runs`
 * is notified of each operation of the user, and `clock` of the gateway's time.
 */
export function createFetcher(url, prepareHeaders, runs, clock) {
  // Returns an observable, because GraphiQL's stop button can cancel one, which cancels the request and the gateway's
  // work. A promise could not be canceled.
  return (given, { headers = {} } = {}) => {
    const operation = withFittingName(given);
    const isOfUser = operation.operationName !== INTROSPECTION;
    if (isOfUser) runs.begin(operation);
    return {
      subscribe(observer) {
        const [abort, waiting] = [new AbortController(), new AbortController()];
        const sent = prepareHeaders(headers);
        const stopWaiting = () => waiting.abort();
        const onExchange = isOfUser ? (exchange) => !abort.signal.aborted && runs.noteExchange(exchange) : undefined;
        const onHeaders = (response) => {
          stopWaiting();
          clock.note(response.headers.get("Date"));
        };
        const notify = { onHeaders, onExchange };
        ask(url, { ...operation, ...extensionsOf(operation) }, sent, abort.signal, notify).then((answer) => {
          stopWaiting();
          if (abort.signal.aborted) return;
          observer.next(answer);
          observer.complete();
        });
        if (isOfUser) runs.estimate(operation, (other, signal) => ask(url, other, sent, signal), waiting.signal);
        return {
          unsubscribe() {
            abort.abort();
            stopWaiting();
          },
        };
      },
    };
  };
}

/**
 * Sends an operation to `url`. Returns the response, or a response with an error. Calls `onHeaders` with the response as
 * soon as it begins, and `onExchange` with the facts about it once it is complete.
 */
export async function ask(url, operation, headers, signal, { onHeaders = () => {}, onExchange = () => {} } = {}) {
  let requestHeaders;
  try {
    requestHeaders = new Headers(headers);
  } catch {
    return failure("INVALID_HEADERS", "The Headers pane holds a name or a value that HTTP cannot carry.");
  }
  requestHeaders.set("Content-Type", "application/json");
  requestHeaders.set("Accept", "application/graphql-response+json, application/json;q=0.9");
  const began = performance.now();
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: requestHeaders,
      body: JSON.stringify(operation),
      // The gateway reads no cookies, but a sign-in proxy in front of it does.
      credentials: "same-origin",
      cache: "no-store",
      redirect: "manual",
      signal,
    });
    onHeaders(response);
    // The gateway never redirects an operation.
    if (response.type === "opaqueredirect") {
      return failure("REDIRECTED", "Something in between redirected the request, such as a sign-in. Reload this page.");
    }
    const body = await response.text();
    onExchange(exchangeOf(response, body, performance.now() - began));
    return parse(body, response);
  } catch {
    // fetch deliberately reveals no more than this.
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
