// The menu of a bar or a table cell: filter by its values, exclude them, or drill down into them.

import { isPresent, shownText } from "../cells.js";
import { conditionOn, without, withOnly } from "./conditions.js";
import { groupsOf, withGroups } from "./edits.js";
import { queriesIn, writeQuery } from "./workspace.js";

const { createElement: h, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } = window.React;
const { useSchemaStore } = window.GraphiQL.React;

const GAP = 4;

/**
 * Returns the `pick` of a list, which table and chart call, and the `menu` that it opens. `pick.has` returns whether a
 * column can be picked; `pick.open` opens the menu at an element, for some columns of a row.
 */
export function useDrillMenu({ editors, execution, list }) {
  const { schema } = useSchemaStore();
  const [picked, setPicked] = useState(null);
  // The operation of this answer is still in the editor when the answer arrives.
  const dimensions = useMemo(() => dimensionsOf(list, queryOf(list, editors, schema)), [list, schema]);
  const open = useCallback((anchor, row, names) => setPicked({ anchor, row, names }), []);
  const pick = useMemo(() => ({ has: (name) => dimensions.has(name), open }), [dimensions]);
  const close = useCallback(() => setPicked(null), []);
  useEffect(close, [list]);
  const query = picked && queryOf(list, editors, schema);
  const apply = (edit) => {
    const view = picked.anchor.closest(".results")?.querySelector('.results-views [aria-pressed="true"]');
    writeQuery(editors, query, edit(query));
    close();
    // The row will disappear.
    view?.focus();
    execution.run();
  };
  return { pick, menu: query && h(Menu, { picked, query, dimensions, apply, onClose: close }) };
}

/** Returns the query in the editor that a list answers, or undefined. */
function queryOf(list, editors, schema) {
  if (!list || !schema) return undefined;
  return queriesIn(editors, schema).queries.find(({ keys }) => list.keys.every((key) => keys.includes(key)));
}

/** Returns the dimensions of a list's columns by their names. */
function dimensionsOf(list, query) {
  const found = [...(query?.columns ?? [])].map(([key, name]) => [
    key,
    query.dataset.dimensions.find((dimension) => dimension.name === name && dimension.operators.includes("eq")),
  ]);
  const shown = new Set(list?.columns.map(({ name }) => name));
  return new Map(found.filter(([key, dimension]) => dimension && shown.has(key)));
}

function Menu({ picked, query, dimensions, apply, onClose }) {
  const element = useRef(null);
  const { anchor, row, names } = picked;
  useLayoutEffect(() => {
    // Closing returns the focus to what had it.
    anchor.focus({ preventScroll: true });
    element.current.showPopover();
    place(element.current, anchor);
    element.current.querySelector("button")?.focus();
  }, [anchor]);
  const follow = ({ newState }) => newState === "closed" && onClose();
  useEffect(() => {
    const menu = element.current;
    menu.addEventListener("toggle", follow);
    return () => menu.removeEventListener("toggle", follow);
  }, []);
  const groups = groupsOf(query);
  const chosen = valuesIn(row, names, dimensions);
  // A group is all of its values.
  const whole = groups.length > 0 ? valuesIn(row, [...dimensions.keys()], dimensions) : chosen;
  const title = whole.map(([, value]) => shownText(value)).join(" · ");
  const further = query.dataset.dimensions.filter((each) => !groups.includes(each) && !isFixed(query, each, whole));
  return h(
    "div",
    { ref: element, popover: "auto", role: "dialog", "aria-label": `Go on with ${title}`, className: "drill-menu" },
    chosen.flatMap(([dimension, value]) => conditionButtons(query, dimension, value, apply)),
    further.length > 0 && h("p", null, `Drill down into ${title} by`),
    h(
      "div",
      { className: "drill-dimensions" },
      further.map((dimension) => {
        const drill = () => apply((current) => drilledDown(current, whole, dimension));
        return h("button", { key: dimension.name, type: "button", onClick: drill }, dimension.label);
      }),
    ),
  );
}

/**
 * Returns the query for the rows with these values, grouped by another dimension. Search and `having` have found their
 * group, and would be applied to its parts.
 */
function drilledDown(query, pairs, dimension) {
  const found = ["search", "having"].reduce((result, name) => result.with(name, undefined), query);
  return withGroups(withOnly(found, pairs), [dimension]);
}

function conditionButtons(query, dimension, value, apply) {
  const filter = () => apply((current) => withOnly(current, [[dimension, value]]));
  const exclude = () => apply((current) => without(current, dimension, value));
  const text = shownText(value);
  return [
    !isFixed(query, dimension, []) &&
      h("button", { key: dimension.name, type: "button", title: value, onClick: filter }, `Filter by ${text}`),
    dimension.operators.includes("ne") &&
      h("button", { key: `not ${dimension.name}`, type: "button", title: value, onClick: exclude }, `Exclude ${text}`),
  ];
}

/** Returns the row's values of columns, with their dimensions; null cannot be filtered by. */
function valuesIn(row, names, dimensions) {
  return names
    .filter((name) => dimensions.has(name) && isPresent(row[name]))
    .map((name) => [dimensions.get(name), row[name]]);
}

/** Returns whether rows with these values have one value of the dimension. */
function isFixed(query, dimension, pairs) {
  const { values, isNot } = conditionOn(query, dimension);
  return (values.length === 1 && !isNot) || pairs.some(([each]) => each === dimension);
}

/** Places the menu below its anchor, or above it if there is no room. */
function place(menu, anchor) {
  const { left, top, bottom } = anchor.getBoundingClientRect();
  const [width, height] = [menu.offsetWidth, menu.offsetHeight];
  const isBelow = bottom + GAP + height <= window.innerHeight;
  menu.style.left = `${Math.max(GAP, Math.min(left, window.innerWidth - width - GAP))}px`;
  menu.style.top = `${Math.max(GAP, isBelow ? bottom + GAP : top - GAP - height)}px`;
}
