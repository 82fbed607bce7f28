// The values of one dimension to choose from, with counts.

import { formatNumber } from "../numbers.js";
import { Choice } from "./parts.js";
import { useValueSearch } from "./value_search.js";
import { useValues } from "./values.js";

const { createElement: h, Fragment, useState } = window.React;

// More would be looked for by typing.
const MAX_SHOWN = 50;

/** The values; `onSet` takes the next condition, and `describeProblem` says in a sentence why there are no values. */
export function ValueList({ query, dimension, condition, onSet, ask, describeProblem }) {
  const loaded = useValues(query, dimension, ask);
  const [typed, setTyped] = useState("");
  const found = useValueSearch(loaded, dimension, typed, ask);
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
  const known = new Set([...loaded.values, ...found.values].map(({ text }) => text));
  const absent = condition.values.filter((value) => !known.has(value));
  const shown = [...absent.map((text) => ({ text, count: null })), ...found.values.slice(0, MAX_SHOWN)];
  const isNew = typed.trim() !== "" && !known.has(typed.trim());
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
    h(About, { loaded, found, typed: typed.trim(), describeProblem }),
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
function About({ loaded, found, typed, describeProblem }) {
  const { isOutdated, reload } = loaded;
  const button = (text, onClick) => h("button", { type: "button", onClick }, text);
  const problem = loaded.problem ?? found.problem;
  if (problem) {
    const retry = loaded.problem ? button("Count again", reload) : button("Search again", found.again);
    return h("p", { role: "alert", className: "builder-hint" }, describeProblem(problem), " ", retry);
  }
  const update = button("Count again", reload);
  return h(
    Fragment,
    null,
    h("p", { role: "status", className: "builder-hint" }, describeFound(loaded, found, typed)),
    isOutdated && h("p", { className: "builder-hint" }, "The other filters have changed since. ", update),
  );
}

/** Returns, for example, "12 of 2,018 values, counted by licenses sold". */
function describeFound({ isLoading, measure, total = 0 }, found, typed) {
  if (isLoading) return "Counting …";
  const all = `${formatNumber(total)} values`;
  if (found.isLoading) return `Searching all ${all} …`;
  if (found.count === 0 && typed !== "") return `None of ${all} contains “${typed}”.`;
  const counted = measure ? `, counted by ${measure.label.toLowerCase()}` : "";
  const shown = Math.min(found.values.length, MAX_SHOWN);
  const isCut = typed !== "" && found.count > shown;
  const of = isCut ? `${formatNumber(found.count)} of ${all}, the first ${formatNumber(shown)} here` : "";
  return `${of || `${formatNumber(shown)} of ${all}`}${counted}`;
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
