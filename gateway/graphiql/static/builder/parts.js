// The parts that the builder's sections are made of.

const { createElement: h, useId, useState } = window.React;

/** A section with a heading. */
export function Section({ title, hint, children }) {
  const id = useId();
  return h(
    "div",
    { role: "group", "aria-labelledby": id, className: "builder-section" },
    h("h3", { id }, title),
    hint && h("p", { className: "builder-hint" }, hint),
    children,
  );
}

/** Buttons that are pressed or not; `items` are {name, label, description}. */
export function Chips({ items, isOn, onToggle }) {
  const chips = items.map((item) =>
    h(
      "button",
      {
        key: item.name,
        type: "button",
        className: "chip",
        title: item.description,
        "aria-pressed": isOn(item),
        onClick: () => onToggle(item),
      },
      item.label,
    ),
  );
  return h("div", { className: "builder-chips" }, chips);
}

/** A button that removes something. */
export function Remove({ label, onClick }) {
  return h("button", { type: "button", className: "remove", "aria-label": label, title: label, onClick }, "×");
}

/** A choice that adds something, and then stands at its title again. */
export function Adder({ title, items, onAdd }) {
  const options = items.map(({ name, label }) => h("option", { key: name, value: name }, label));
  const add = ({ target }) => onAdd(items.find(({ name }) => name === target.value));
  return (
    items.length > 0 &&
    h(
      "select",
      { className: "adder", "aria-label": title, value: "", onChange: add },
      h("option", { value: "" }, `${title} …`),
      options,
    )
  );
}

/** A choice among `options`, which are [value, text]. */
export function Choice({ label, value, options, onChange }) {
  const items = options.map(([each, text]) => h("option", { key: each, value: each }, text));
  return h("select", { "aria-label": label, value, onChange: ({ target }) => onChange(target.value) }, items);
}

/**
 * A field whose valid texts are committed while its user types. Other texts stay until it loses the focus; then an empty
 * one is committed if `isClearable`.
 */
export function DraftField({ value, isValid = () => true, isClearable = false, onCommit, ...attributes }) {
  const [draft, setDraft] = useState(null);
  const change = ({ target }) => {
    setDraft(target.value);
    if (isValid(target.value)) onCommit(target.value);
  };
  const leave = () => {
    if (draft === "" && isClearable && value !== "") onCommit("");
    setDraft(null);
  };
  return h("input", { ...attributes, value: draft ?? value, onChange: change, onBlur: leave });
}

/** A row with a named field (`attributes` are those of DraftField) and, behind it, its children. */
export function LabeledField({ label, children, ...attributes }) {
  const id = useId();
  const name = h("label", { htmlFor: id, className: "row-name" }, label);
  return h("div", { className: "builder-row" }, name, h(DraftField, { id, ...attributes }), children);
}

/** Names the variable that has a value. */
export function FromVariable({ name }) {
  return name !== undefined && h("span", { className: "builder-hint" }, `from $${name}`);
}
