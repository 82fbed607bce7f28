// The order of a table's rows.

import { isPresent, plainText } from "./cells.js";

const COLLATOR = new Intl.Collator("en", { numeric: true });

/** Sorts rows by `sort` ({column, isDescending}, or null for the response's order); empty cells come last. */
export function sortRows(rows, sort) {
  if (sort === null) return rows;
  const direction = sort.isDescending ? -1 : 1;
  const rankOf = ranks(rows.map((row) => row[sort.column]));
  const isFull = (row) => isPresent(row[sort.column]);
  const sorted = rows
    .filter(isFull)
    .map((row) => ({ row, rank: rankOf(row[sort.column]) }))
    .sort((a, b) => direction * (a.rank - b.rank));
  return [...sorted.map(({ row }) => row), ...rows.filter((row) => !isFull(row))];
}

/** Returns a function from values to numbers in the same order. Each text is compared only once, which is slow. */
function ranks(values) {
  const present = values.filter(isPresent);
  if (present.every((value) => typeof value === "number")) return (value) => value;
  const texts = [...new Set(present.map(plainText))].sort(COLLATOR.compare);
  const rankByText = new Map();
  let rank = 0;
  for (const [index, text] of texts.entries()) {
    // Texts that differ for the computer alone keep the order of their rows.
    if (index > 0 && COLLATOR.compare(texts[index - 1], text) !== 0) rank += 1;
    rankByText.set(text, rank);
  }
  return (value) => rankByText.get(plainText(value));
}

/** Returns the sort after a click on a header: one direction, the other, then the response's order. */
export function nextSort(sort, { name, isNumber }) {
  // People usually look for the highest numbers.
  const isFirstDescending = isNumber;
  if (sort?.column !== name) return { column: name, isDescending: isFirstDescending };
  return sort.isDescending === isFirstDescending ? { column: name, isDescending: !isFirstDescending } : null;
}
