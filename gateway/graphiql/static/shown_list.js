// The rows that table and chart show, and what they may be measured by.

import { measureColumns } from "./bars.js";
import { withNumber } from "./compare.js";
import { isOrderedBy } from "./runs.js";

/** Returns the columns of a list that its rows can be measured by. */
export function numbersOf(list) {
  if (!list) return [];
  return list.comparison?.numbers ?? measureColumns(list);
}

/** Returns the list with rows to show; those of a comparison depend on the measure. */
export function shownList(list, column) {
  return list?.comparison ? withNumber(list, column) : list;
}

/** Returns the query's order of a list, which is undefined if it has none. Several lists have no first page. */
export function orderOf(run, list) {
  if (!list || !isOrderedBy(run, list)) return undefined;
  const [order, ...others] = list.keys.map((key) => run.ordered.get(key));
  if (others.length === 0) return order;
  const isSame = others.every(({ measure, isDescending }) => measure === order.measure && isDescending === order.isDescending);
  return { ...order, isFromStart: false, isOfBothDates: isSame && list.comparison !== undefined };
}
