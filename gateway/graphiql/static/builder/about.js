// What the builder works on, and what to do if there is nothing.

import { Choice } from "./parts.js";
import { newField } from "./reading.js";

const { createElement: h, Fragment } = window.React;

/** Says what the builder works on. */
export function About({ read, query, datasets, setChosen, change }) {
  const { queries, operation } = read;
  const name = operation.name ? ` of ${operation.name.value}` : "";
  const keys = query.keys.join(" and ");
  const choose = (value) => setChosen(Number(value));
  const options = queries.map((each, index) => [String(index), each.keys.join(" and ")]);
  const which =
    queries.length > 1
      ? h(Choice, { label: "Field to build", value: String(queries.indexOf(query)), options, onChange: choose })
      : h("code", null, keys);
  const replace = (next) => {
    const dataset = datasets.find((each) => each.name === next);
    change((current) => current.replacing([newField(dataset)]));
  };
  const sets = datasets.map((dataset) => [dataset.name, dataset.name]);
  return h(
    Fragment,
    null,
    h("p", { className: "builder-hint" }, "Every click changes ", which, `${name}.`),
    datasets.length > 1 && h(Choice, { label: "Dataset", value: query.dataset.name, options: sets, onChange: replace }),
  );
}

/** Says why there is nothing to build, and offers to start. */
export function NoQuery({ read, datasets, onStart }) {
  const canStart = read.isEmpty || read.operation;
  const buttons = datasets.map((dataset) =>
    h("button", { key: dataset.name, type: "button", onClick: () => onStart(dataset) }, `Start with ${dataset.name}`),
  );
  return h(
    Fragment,
    null,
    h("p", { role: "status", className: "builder-problem" }, read.problem),
    canStart && h("div", { className: "builder-chips" }, buttons),
  );
}
