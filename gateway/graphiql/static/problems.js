// The errors and warnings of a response.

import { counted, formatNumber } from "./numbers.js";

const { createElement: h } = window.React;

// The first errors are enough to fix an operation; the JSON view has all of them.
const MAX_SHOWN_PROBLEMS = 5;

export function Problems({ problems, tokenHint }) {
  const items = problems.slice(0, MAX_SHOWN_PROBLEMS).map((problem, index) =>
    h(
      "li",
      { key: index, className: problem.isWarning ? "warning" : undefined },
      h("strong", null, problem.code ?? "ERROR"),
      ` ${describeProblem(problem, tokenHint)}`,
    ),
  );
  const left = problems.length - items.length;
  const more = left > 0 && h("li", { key: "more" }, `and ${left} more in JSON`);
  return items.length > 0 && h("div", { role: "alert" }, h("ul", { className: "problems" }, items, more));
}

/** Returns what went wrong, for people. */
export function describeProblem({ code, message, progress }, tokenHint) {
  if (code === "UNAUTHENTICATED") return `${forPeople(message)} ${tokenHint}`;
  return typeof progress?.rowsRead === "number" ? describeProgress(progress) : message;
}

/** Returns what a scan has read until its time ran out: the next run reads the rest. */
function describeProgress({ rowsRead, rowsTotal }) {
  const total = typeof rowsTotal === "number" ? ` of about ${formatNumber(rowsTotal)}` : "";
  const rows = total ? `${formatNumber(rowsRead)}${total} rows` : counted(rowsRead, "row");
  return `Time ran out: ${rows} read; run it again to go on.`;
}

/** Returns the message without its sentence for programs on how to send a token. */
function forPeople(message) {
  return message.replace(/ Send 'Authorization: Bearer [^']*'\./, "");
}
