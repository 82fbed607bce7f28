// The values of one dimension to choose from, with counts.

import { formatNumber } from "../numbers.js";
import { Choice } from "./parts.js";
import { useValues } from "./values.js";

const { createElement: h, Fragment, useState } = window.React;

// More would be looked for by typing.
const MAX_SHOWN = 50;

/** The values; `onSet` takes the next condition, and `describeProblem` says in a sentence why there are no values. */
export function ValueList({ query, dimension, condition, onSet, ask, describeProblem }) {
  const loaded = useValues(query, dimension, ask);
  const [typed, setTyped] = useState("");
  const [wantsNot, setWantsNot] = useState(condition.isNot);
  const isNot = condition.values.length > 0 ? condition.isNot : wantsNot;
  const choose = (values) => onSet({ values, isNot });
  const toggle = (text) => {
    const { values } = condition;
    choose(values.includes(text) ? values.filter((value) => value !== text) : [...values, text]);
  };
  const setNot = (next) => {
    setWantsNot(next);
    if (condition.values.length > 0) onSet({ values: condition.values, isNot: next });
  };
  const found = matching(loaded.values, typed);
  const absent = condition.values.filter((value) => !loaded.values.some(({ text }) => text === value));
  const shown = [...absent.map((text) => ({ text, count: null })), ...found.slice(0, MAX_SHOWN)];
  const isNew = typed.trim() !== "" && !loaded.values.some(({ text }) => text === typed.trim());
  const add = () => {
    toggle(typed.trim());
    setTyped("");
  };
  return h(
    "div",
    { className: "values" },
    h(
      "div",
      { className: "values-head" },
      canExclude(dimension) && h(IsOrIsNot, { label: `Condition on ${dimension.label}`, isNot, onChange: setNot }),
      h("input", {
        type: "search",
        "aria-label": `Find values of ${dimension.label}`,
        placeholder: "Find or type a value",
        value: typed,
        onChange: ({ target }) => setTyped(target.value),
      }),
    ),
    isNew && h("button", { type: "button", onClick: add }, `Use “${typed.trim()}” as typed`),
    h(About, { loaded, foundCount: found.length, describeProblem }),
    h(
      "ul",
      { "aria-label": `Values of ${dimension.label}` },
      shown.map((value) =>
        h(Value, { key: value.text, ...value, isOn: condition.values.includes(value.text), onToggle: toggle }),
      ),
    ),
  );
}

function canExclude({ operators }) {
  return operators.includes("ne") && operators.includes("notIn");
}

function IsOrIsNot({ label, isNot, onChange }) {
  const options = [
    ["is", "is"],
    ["isNot", "is not"],
  ];
  return h(Choice, { label, value: isNot ? "isNot" : "is", options, onChange: (value) => onChange(value === "isNot") });
}

/** Says what the counts are, or why there are none. */
function About({ loaded, foundCount, describeProblem }) {
  const { isLoading, problem, measure, total, isOutdated, reload } = loaded;
  const update = h("button", { type: "button", onClick: reload }, "Count again");
  if (problem) return h("p", { role: "alert", className: "builder-hint" }, describeProblem(problem), " ", update);
  const counted = measure ? `, counted by ${measure.label.toLowerCase()}` : "";
  const text = isLoading
    ? "Counting …"
    : `${formatNumber(Math.min(foundCount, MAX_SHOWN))} of ${formatNumber(total ?? 0)} values${counted}`;
  return h(
    Fragment,
    null,
    h("p", { role: "status", className: "builder-hint" }, text),
    isOutdated && h("p", { className: "builder-hint" }, "The other filters have changed since. ", update),
  );
}

function matching(values, typed) {
  const wanted = typed.trim().toLocaleLowerCase();
  return values.filter(({ text }) => text.toLocaleLowerCase().includes(wanted));
}

function Value({ text, count, isOn, onToggle }) {
  return h(
    "li",
    null,
    h(
      "label",
      null,
      h("input", { type: "checkbox", checked: isOn, onChange: () => onToggle(text) }),
      h("span", { className: "value-text", title: text }, text),
      h("span", { className: "value-count" }, count === null ? "" : formatNumber(count)),
    ),
  );
}
