// Two lists of the same columns, such as one query at two dates: one row per group, with the change.

import { isPresent, shownText } from "./cells.js";

/**
 * Returns two lists as one: each of its `pairs` is a group with its `texts` and its row in either list. Rows with equal
 * texts are one group, and their numbers are added up. `sides` are the names of the lists, which are their dates if
 * they differ. Returns null if there is nothing to compare: no numbers, or, as in two pages of a query, no common group.
 */
export function compareLists(lists) {
  const [{ columns }] = lists;
  const numbers = columns.filter(({ isNumber }) => isNumber);
  if (lists.length !== 2 || numbers.length === 0) return null;
  const date = columns.find((column) => column.isDate && hasTwoDates(lists, column.name));
  const sides = date ? lists.toSorted((a, b) => (a.rows[0][date.name] < b.rows[0][date.name] ? -1 : 1)) : lists;
  const texts = columns.filter((column) => !column.isNumber && column !== date);
  const groups = new Map();
  for (const [side, { rows }] of sides.entries()) {
    for (const row of rows) {
      const key = JSON.stringify(texts.map(({ name }) => row[name] ?? null));
      const group = groups.get(key) ?? { texts: pick(row, texts), sides: [] };
      group.sides[side] = group.sides[side] ? added(group.sides[side], row, numbers) : row;
      groups.set(key, group);
    }
  }
  const pairs = [...groups.values()];
  if (!date && !pairs.some((pair) => pair.sides[0] && pair.sides[1])) return null;
  const isWhole = sides.map(({ rows, totalCount }) => totalCount !== null && totalCount <= rows.length);
  const taken = texts.map(({ name }) => name);
  const names = sides.map(({ name, rows }) => free(date ? shownText(rows[0][date.name], date) : name, taken));
  return { pairs, texts, numbers, sides: names, isWhole };
}

/** Returns whether each list has one date, and not the same. */
function hasTwoDates(lists, name) {
  const dates = lists.map(({ rows }) => new Set(rows.map((row) => row[name])));
  return dates.every(({ size }) => size === 1) && new Set(lists.map(({ rows }) => rows[0][name])).size === 2;
}

/** Returns the sums of two rows' numbers. A rate follows from the other sums; without them it is unknown. */
function added(one, other, numbers) {
  const sum = (a, b) => (isPresent(a) && isPresent(b) ? a + b : null);
  const sums = Object.fromEntries(numbers.map(({ name }) => [name, sum(one[name], other[name])]));
  const valueOf = (wanted) => sums[numbers.find(({ measure }) => measure === wanted)?.name];
  const [sold, deployed] = [valueOf("sold"), valueOf("deployed")];
  const rate = sold > 0 && isPresent(deployed) ? deployed / sold : null;
  const rates = numbers.filter(({ measure }) => measure === "rate").map(({ name }) => [name, rate]);
  return { ...sums, ...Object.fromEntries(rates) };
}

function pick(row, columns) {
  return Object.fromEntries(columns.map(({ name }) => [name, row[name]]));
}

/** Returns a name that no column has yet, and takes it. */
function free(name, taken) {
  while (taken.includes(name)) name = `${name}′`;
  taken.push(name);
  return name;
}

/** Returns the rows and columns of a comparison of one of its numbers: earlier, later, change. */
export function withNumber(list, number) {
  const { pairs, texts, sides, isWhole } = list.comparison;
  const { measure } = number;
  const change = free("change", [...texts.map(({ name }) => name), ...sides]);
  const kind = { isNumber: true, measure };
  const columns = [...texts, ...sides.map((name) => ({ ...kind, name })), { ...kind, name: change, isChange: true }];
  const rows = pairs.map((pair) => {
    const values = [0, 1].map((side) => pair.sides[side]?.[number.name] ?? null);
    return { ...pair.texts, [sides[0]]: values[0], [sides[1]]: values[1], [change]: changeOf(pair, values, measure, isWhole) };
  });
  return { ...list, rows, columns, compared: { sides, change, measure } };
}

/** A group without a row in a whole list has no licenses there. Beyond a part of a list, nothing is known. */
function changeOf(pair, values, measure, isWhole) {
  const known = values.map((value, side) => {
    const isNone = !pair.sides[side] && isWhole[side] && measure !== "rate";
    return isNone ? 0 : value;
  });
  return known.every(isPresent) ? known[1] - known[0] : null;
}
