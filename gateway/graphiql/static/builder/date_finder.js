// Finds the dates that can be compared: the report cannot list its dates, and most days have no rows.

import { Chips } from "./parts.js";

const { createElement: h, Fragment, useEffect, useRef, useState } = window.React;

const WEEKS = 8;
const DAY_MILLISECONDS = 24 * 60 * 60 * 1000;
const TITLE = `Looks for rows in each of the ${WEEKS} weeks before the latest date, with one small upstream call for each.`;

/** A button that looks for dates, and then the dates that it found, of which a click chooses one. */
export function DateFinder({ dataset, chosen, onChoose, ask, describeProblem }) {
  const [found, setFound] = useState(null);
  const abort = useRef(null);
  useEffect(() => () => abort.current?.abort(), []);
  const find = async () => {
    abort.current?.abort();
    const { signal } = (abort.current = new AbortController());
    setFound({ text: "Looking for dates …", dates: [] });
    const next = await findDates(dataset, (query) => ask({ query, variables: {} }, signal), describeProblem);
    if (!signal.aborted) setFound(next);
  };
  const items = (found?.dates ?? []).map((date) => ({ name: date, label: date }));
  return h(
    Fragment,
    null,
    h("button", { type: "button", title: TITLE, onClick: find }, "Find earlier dates"),
    h("p", { role: "status", className: "builder-hint" }, found?.text),
    items.length > 0 &&
      h(Chips, { items, isOn: ({ name }) => name === chosen, onToggle: ({ name }) => onChoose(name === chosen ? "" : name) }),
  );
}

/** Returns the `dates` that have rows, the latest one first, and a `text` about them. */
async function findDates(dataset, ask, describeProblem) {
  const [date] = dataset.dates;
  const answer = await ask(`query BuilderLatest { rows: ${dataset.name}(first: 1) { nodes { ${date} } } }`);
  const latest = answer.data?.rows?.nodes[0]?.[date]?.slice(0, "YYYY-MM-DD".length);
  if (answer.errors) return { text: problemOf(answer, describeProblem), dates: [] };
  if (!latest) return { text: "The latest rows have no date.", dates: [] };
  const candidates = Array.from({ length: WEEKS }, (_, index) => weeksBefore(latest, index + 1));
  const counted = await ask(countingText(dataset, candidates));
  if (!counted.data) return { text: problemOf(counted, describeProblem), dates: [] };
  const dates = candidates.filter((_, index) => counted.data[`week${index}`]?.totalCount > 0);
  const text = dates.length > 0 ? `Dates with rows before ${latest}:` : `No rows 1 to ${WEEKS} weeks before ${latest}.`;
  return { text, dates };
}

/** Returns an operation that counts the groups at each date; groups are fewer rows to read than the report has. */
function countingText({ name, dates: [date], dimensions: [dimension] }, candidates) {
  const fields = candidates.map((day, index) => {
    return `week${index}: ${name}(${date}: "${day}", groupBy: [${dimension.value}], first: 1) { totalCount }`;
  });
  return `query BuilderDates { ${fields.join(" ")} }`;
}

function weeksBefore(day, weeks) {
  return new Date(Date.parse(day) - weeks * 7 * DAY_MILLISECONDS).toISOString().slice(0, "YYYY-MM-DD".length);
}

function problemOf({ errors }, describeProblem) {
  const { message = "The gateway sent no dates.", extensions } = errors?.[0] ?? {};
  return describeProblem({ message, ...extensions });
}
