// A list of a response as a table with sortable columns. It scrolls through any number of rows.

import { isId, isPresent, shownText } from "./cells.js";
import { columnWidths } from "./column_widths.js";
import { describeComputed, forPhone } from "./columns.js";
import { nextSort } from "./sorting.js";
import { useVisibleRows } from "./visible_rows.js";

const { createElement: h, Fragment, memo, useEffect, useLayoutEffect, useMemo, useState } = window.React;

const PHONE = window.matchMedia("(max-width: 700px)");
// A text may be cut off at the edge of its column from this length on; then it has a title.
const LONG_TEXT = 20;

// Two sheets of paper.
const COPY_ICON = h(
  "svg",
  { width: 12, height: 12, "aria-hidden": true, focusable: false },
  h("rect", { x: 0.5, y: 3.5, width: 8, height: 8, rx: 1 }),
  h("path", { d: "M3.5 3.5v-2a1 1 0 0 1 1-1h6a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1h-2" }),
);

/**
 * The table; clicking a header calls `onSort` with the next sort, a copy button calls `onCopy` with an id, and a value
 * picks its cell (builder/drill_menu.js).
 */
export const Table = memo(({ list, rows, sort, onSort, onCopy, pick }) => {
  const isPhone = useIsPhone();
  const columns = useMemo(() => (isPhone ? forPhone(list.columns) : list.columns), [list, isPhone]);
  const { ref, start, end, above, below } = useVisibleRows(rows.length, rows);
  const widths = useWidths(ref, columns, list.rows);
  const shown = rows.slice(start, end).map((row, index) =>
    h(Row, { key: start + index, row, index: start + index, columns, onCopy, pick }),
  );
  return h(
    "table",
    { "aria-rowcount": rows.length + 1, style: { minWidth: widths.reduce((sum, width) => sum + width, 0) } },
    h("colgroup", null, columns.map(({ name }, index) => h("col", { key: name, style: { width: widths[index] } }))),
    h(
      "thead",
      null,
      h("tr", { "aria-rowindex": 1 }, columns.map((column) => h(Header, { key: column.name, column, sort, onSort }))),
    ),
    h(Space, { height: above, columns }),
    h("tbody", { ref, className: "rows" }, shown),
    h(Space, { height: below, columns }),
  );
});

/** Stands for rows that are not rendered, so that the scroll bar is that of all rows. */
function Space({ height, columns }) {
  const cell = h("td", { colSpan: columns.length, style: { height } });
  return height > 0 && h("tbody", { className: "space", "aria-hidden": true }, h("tr", null, cell));
}

function useIsPhone() {
  const [isPhone, setIsPhone] = useState(PHONE.matches);
  useEffect(() => {
    const follow = () => setIsPhone(PHONE.matches);
    PHONE.addEventListener("change", follow);
    return () => PHONE.removeEventListener("change", follow);
  }, []);
  return isPhone;
}

/** Returns the columns' widths; before the table has a font, there are none. */
function useWidths(ref, columns, rows) {
  const [widths, setWidths] = useState([]);
  useLayoutEffect(() => {
    const { fontSize, fontFamily } = window.getComputedStyle(ref.current);
    // It is rounded, perhaps up.
    const room = ref.current.closest(".results-scroll").clientWidth - 1;
    setWidths(columnWidths(columns, rows, `${fontSize} ${fontFamily}`, room));
  }, [columns, rows]);
  return widths;
}

function Header({ column, sort, onSort }) {
  const isSorted = sort?.column === column.name;
  const state = isSorted ? (sort.isDescending ? "descending" : "ascending") : "none";
  const title = describeComputed(column);
  const mark = column.isComputed && h("small", null, " computed");
  return h(
    "th",
    { scope: "col", "aria-sort": state, className: kind(column) },
    h("button", { type: "button", title, onClick: () => onSort(nextSort(sort, column)) }, breakable(column.name), mark),
  );
}

const Row = memo(({ row, index, columns, onCopy, pick }) =>
  h(
    "tr",
    { "aria-rowindex": index + 2 },
    columns.map((column) => h(Cell, { key: column.name, column, row, onCopy, pick })),
  ),
);

function Cell({ column, row, onCopy, pick }) {
  const value = row[column.name];
  const text = isPresent(value) ? shownText(value, column) : "";
  const title = isId(value) ? value : !column.isNumber && text.length > LONG_TEXT ? text : undefined;
  return h("td", { className: kind(column), title }, content(value, pickable(text, column, row, pick), onCopy));
}

/** Returns a dimension's text as a button. */
function pickable(text, { name }, row, pick) {
  if (!pick.has(name)) return text;
  const open = ({ currentTarget }) => pick.open(currentTarget, row, [name]);
  return h("button", { type: "button", className: "pick", "aria-haspopup": "dialog", onClick: open }, text);
}

function content(value, text, onCopy) {
  if (!isPresent(value)) return h("span", { className: "empty", role: "img", "aria-label": "no value" }, "–");
  if (!isId(value)) return text;
  const label = { "aria-label": `Copy ${value}`, title: "Copy" };
  return h(
    Fragment,
    null,
    text,
    h("button", { type: "button", className: "copy", ...label, onClick: () => onCopy(value) }, COPY_ICON),
  );
}

function kind({ isNumber, isDate, isId: isOfIds }) {
  if (isNumber) return "number";
  if (isDate) return "date";
  return isOfIds ? "id" : undefined;
}

/** A name that may wrap before a capital letter. */
function breakable(name) {
  return name
    .split(/(?<=[a-z])(?=[A-Z])/)
    .flatMap((word, index) => (index === 0 ? word : [h("wbr", { key: index }), word]));
}
