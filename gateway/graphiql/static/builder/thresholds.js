// The conditions on measures: one row each, with an operator and a number.

import { thresholdsOf, withNewThreshold, withThreshold } from "./conditions.js";
import { OtherParts } from "./filters.js";
import { Adder, Choice, DraftField, FromVariable, Remove, Section } from "./parts.js";

const { createElement: h } = window.React;

const WORDS = { gt: "more than", gte: "at least", lt: "less than", lte: "at most", eq: "exactly", ne: "not" };

/** The section of conditions on measures, which apply to groups if the query has any. */
export function Thresholds({ query, change }) {
  const measures = query.dataset.measures.filter(({ operators }) => operators.length > 0);
  if (measures.length === 0) return null;
  const rows = thresholdsOf(query).map((threshold) =>
    h(Threshold, { key: `${threshold.measure.name}.${threshold.operator}`, threshold, change }),
  );
  const add = (measure) => change((current) => withNewThreshold(current, measure));
  const names = measures.map(({ name }) => name);
  return h(
    Section,
    { title: "Keep rows with" },
    rows,
    h(OtherParts, { query, change, argument: "having", names }),
    h(Adder, { title: "Add a number", items: measures, onAdd: add }),
  );
}

function Threshold({ threshold, change }) {
  const { measure, operator, value, variable } = threshold;
  const set = (next) => change((current) => withThreshold(current, threshold, next));
  const options = measure.operators.map((each) => [each, WORDS[each] ?? each]);
  return h(
    "div",
    { className: "builder-row" },
    h("span", { className: "row-name", title: measure.description }, measure.label),
    h(Choice, {
      label: `Condition on ${measure.label}`,
      value: operator,
      options,
      onChange: (next) => set({ operator: next, value }),
    }),
    h(DraftField, {
      type: "number",
      step: "any",
      "aria-label": `Number for ${measure.label}`,
      value: String(value ?? ""),
      isValid: (text) => text !== "" && Number.isFinite(Number(text)),
      onCommit: (text) => set({ value: Number(text) }),
    }),
    h(FromVariable, { name: variable }),
    h(Remove, { label: `Remove the condition on ${measure.label}`, onClick: () => set({ value: undefined }) }),
  );
}
