// Search, order, number of rows, and dates.

import { isNumber } from "./datasets.js";
import { DateFinder } from "./date_finder.js";
import { comparedWith, datesOf, uncompared, withDate } from "./dates.js";
import { groupsOf, orderableBy, orderOf, withFirst, withOrder, withSearch } from "./edits.js";
import { Adder, Choice, DraftField, FromVariable, LabeledField, Remove, Section } from "./parts.js";

const { createElement: h } = window.React;

const MAX_ROWS = 10_000;
// A year that is being typed passes through the first centuries.
const FIRST_DATE = "1900-01-01";

export function Search({ query, change }) {
  if (!("search" in query.dataset.types)) return null;
  const value = query.resolvedArgument("search") ?? "";
  const commit = (text) => change((current) => withSearch(current, text));
  return h(
    Section,
    { title: "Search", hint: groupsOf(query).length > 0 && "It looks into what the rows are grouped by." },
    h(DraftField, { type: "search", "aria-label": "Search all texts", placeholder: "Words in any text", value, onCommit: commit }),
    h(FromVariable, { name: query.variableOf("search") }),
  );
}

export function Order({ query, change }) {
  const choices = orderableBy(query);
  if (choices.length === 0) return null;
  const steps = orderOf(query);
  const set = (next) => change((current) => withOrder(current, next));
  const left = choices.filter(({ order }) => !steps.some(({ field }) => field === order));
  const rows = steps.map((step, index) =>
    h(OrderStep, {
      key: index,
      step,
      choices: choices.filter((choice) => choice.order === step.field || left.includes(choice)),
      onChange: (next) => set(steps.with(index, next)),
      onRemove: () => set(steps.toSpliced(index, 1)),
    }),
  );
  const add = (choice) => set([...steps, { field: choice.order, isDescending: isNumber(choice) }]);
  const title = steps.length > 0 ? "Then by" : "Order by";
  return h(
    Section,
    { title: "Order" },
    rows,
    h(Adder, { title, items: left, onAdd: add }),
    "first" in query.dataset.types && h(RowCount, { query, change }),
  );
}

function OrderStep({ step, choices, onChange, onRemove }) {
  const { field, isDescending } = step;
  const chosen = choices.find(({ order }) => order === field);
  const [up, down] = chosen && isNumber(chosen) ? ["lowest", "highest"] : ["A to Z", "Z to A"];
  const fields = choices.map(({ order, label }) => [order, label]);
  const directions = [
    ["ASC", up],
    ["DESC", down],
  ];
  return h(
    "div",
    { className: "builder-row" },
    h(Choice, { label: "Order by", value: field, options: fields, onChange: (next) => onChange({ ...step, field: next }) }),
    h(Choice, {
      label: "Direction",
      value: isDescending ? "DESC" : "ASC",
      options: directions,
      onChange: (next) => onChange({ ...step, isDescending: next === "DESC" }),
    }),
    h(Remove, { label: `Remove the order by ${chosen?.label ?? field}`, onClick: onRemove }),
  );
}

function RowCount({ query, change }) {
  const value = query.resolvedArgument("first");
  return h(
    LabeledField,
    {
      label: "Number of rows",
      type: "number",
      min: 1,
      max: MAX_ROWS,
      placeholder: "100",
      value: String(value ?? ""),
      isValid: (text) => /^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= MAX_ROWS,
      onCommit: (text) => change((current) => withFirst(current, Number(text))),
    },
    h(FromVariable, { name: query.variableOf("first") }),
  );
}

/** The dates of the query. Two fields have two dates; the builder compares no more. */
export function Dates({ query, change, ask, describeProblem }) {
  if (query.dataset.dates.length === 0 || query.fields.length > 2) return null;
  const dates = datesOf(query);
  const isCompared = dates.length > 1;
  const earlier = isCompared ? dates[0] : "";
  const last = dates.length - 1;
  const compare = (date) =>
    change((current) => {
      if (date === "") return uncompared(current);
      return isCompared ? withDate(current, 0, date) : comparedWith(current, date);
    });
  return h(
    Section,
    { title: "Date", hint: "Without a date: the latest. Days without processing have no rows." },
    h(DateField, { label: "As of", value: dates[last], onCommit: (date) => change((now) => withDate(now, last, date)) }),
    h(DateField, { label: "Compare with", value: earlier, onCommit: compare }),
    query.dataset.isDated &&
      h(DateFinder, { dataset: query.dataset, chosen: earlier, onChoose: compare, ask, describeProblem }),
  );
}

function DateField({ label, value, onCommit }) {
  const isValid = (text) => text >= FIRST_DATE;
  return h(
    LabeledField,
    { label, type: "date", value, isValid, isClearable: true, onCommit },
    value !== "" && h(Remove, { label: `Remove the date: ${label}`, onClick: () => onCommit("") }),
  );
}
