// The line under the answer: how long it has been awaited, what happened, and when a refused operation may be repeated.

import { copyText } from "./curl.js";
import { describeExchange } from "./exchange.js";

const { createElement: h, Fragment, useEffect, useState } = window.React;

/**
 * The line. `exchange` has the facts about the latest response, `run` repeats the operation, and `stop` cancels it while
 * `isFetching`. Every `exchange` is another object.
 */
export function Happened({ exchange, isFetching, run, stop }) {
  if (isFetching) return h(Waiting, { stop });
  if (!exchange) return null;
  return h(
    Fragment,
    null,
    h("span", { className: "facts" }, describeExchange(exchange).join(" · ")),
    exchange.retryAfterSeconds !== null && h(Retry, { exchange, run }),
    exchange.correlationId && h(CorrelationId, { key: exchange.correlationId, id: exchange.correlationId }),
  );
}

function Waiting({ stop }) {
  const seconds = useSeconds(null);
  return h(
    Fragment,
    null,
    // Not announced: the status above the answer is, once.
    h("span", { className: "waiting", "aria-hidden": true }, `Waiting for ${seconds} s`),
    h("button", { type: "button", onClick: stop }, "Cancel"),
  );
}

function CorrelationId({ id }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => setCopied(await copyText(id));
  const title = `Copy the correlation id ${id}, which the gateway's log and Microsoft's support know`;
  return h("button", { type: "button", title, onClick: copy }, isCopied ? "Copied" : "Copy correlation id");
}

/** Counts down the pause that a refusal asked for. */
function Retry({ exchange, run }) {
  const left = exchange.retryAfterSeconds - useSeconds(exchange);
  return h("button", { type: "button", disabled: left > 0, onClick: run }, left > 0 ? `Retry in ${left} s` : "Retry");
}

/** Returns the full seconds since `start` is the same object; it renders again each second. */
function useSeconds(start) {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const began = performance.now();
    setSeconds(0);
    const timer = setInterval(() => setSeconds(Math.floor((performance.now() - began) / 1000)), 250);
    return () => clearInterval(timer);
  }, [start]);
  return seconds;
}
