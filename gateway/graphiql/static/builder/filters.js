// A row for each dimension: its condition, and on demand the most frequent values to choose from.

import { formatNumber } from "../numbers.js";
import { conditionOn, otherParts, withCondition, withoutPart } from "./conditions.js";
import { FromVariable, Remove, Section } from "./parts.js";
import { ValueList } from "./value_list.js";

const { createElement: h, Fragment, useId, useState } = window.React;

/** The section of filters. `change` takes an edit of the query; `ask` sends an operation. */
export function Filters({ query, change, ask, describeProblem }) {
  const [openName, setOpenName] = useState(null);
  const dimensions = query.dataset.dimensions.filter(({ operators }) => operators.length > 0);
  const rows = dimensions.map((dimension) =>
    h(FilterRow, {
      key: dimension.name,
      ...{ query, dimension, change, ask, describeProblem },
      isOpen: openName === dimension.name,
      onToggle: () => setOpenName(openName === dimension.name ? null : dimension.name),
    }),
  );
  const names = dimensions.map(({ name }) => name);
  return (
    rows.length > 0 &&
    h(Section, { title: "Filter" }, rows, h(OtherParts, { query, change, argument: "filter", names }))
  );
}

function FilterRow({ query, dimension, change, ask, describeProblem, isOpen, onToggle }) {
  const id = useId();
  const condition = conditionOn(query, dimension);
  const set = (next) => change((current) => withCondition(current, dimension, next));
  const summary = condition.isOther ? "typed condition" : summaryOf(condition);
  const header = h(
    "div",
    { className: "filter-head" },
    h(
      "button",
      { type: "button", "aria-expanded": isOpen, "aria-controls": id, title: dimension.description, onClick: onToggle },
      h("span", { className: "filter-name" }, dimension.label),
      h("span", { className: "filter-summary" }, summary),
    ),
    summary !== "" && h(Remove, { label: `Remove the filter on ${dimension.label}`, onClick: () => set({ values: [] }) }),
  );
  const list = isOpen && h(ValueList, { query, dimension, condition, onSet: set, ask, describeProblem });
  const variable = h(FromVariable, { name: condition.variable });
  return h("div", { className: "filter-row" }, header, h("div", { id, hidden: !isOpen }, isOpen && variable, list));
}

/** Returns, for example, "is Contoso" or "is none of 3". */
function summaryOf({ values, isNot }) {
  if (values.length === 0) return "";
  if (values.length === 1) return `${isNot ? "is not" : "is"} ${values[0]}`;
  return `${isNot ? "is none of" : "is one of"} ${formatNumber(values.length)}`;
}

/** Names the parts of an argument that the builder has no controls for, such as `or`. */
export function OtherParts({ query, change, argument, names }) {
  const parts = otherParts(query, argument, names).map(([key]) =>
    h(
      "p",
      { key, className: "other-part" },
      h("code", null, key),
      " as typed",
      h(Remove, {
        label: `Remove ${key} from ${argument}`,
        onClick: () => change((current) => withoutPart(current, argument, key)),
      }),
    ),
  );
  return h(Fragment, null, parts);
}
