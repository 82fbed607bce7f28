// The columns of rows: their kinds, the ones that the page computes, and their order.

import { isId, isPresent } from "./cells.js";
import { datasetOf, inWords, keyword, measureOf } from "./measures.js";

const DATE = /^\d{4}-\d\d-\d\d(T|$)/;

/** Returns the columns ({name, isNumber, isDate, isId, measure}) of rows; `measure` is undefined if it has none. */
export function describeColumns(rows) {
  const names = new Set();
  for (const row of rows) for (const name in row) names.add(name);
  return [...names].map((name) => {
    const values = rows.map((row) => row[name]).filter(isPresent);
    const every = (test) => values.length > 0 && values.every(test);
    const isNumber = every((value) => typeof value === "number");
    const measure = isNumber ? measureOf(name) : undefined;
    return { name, isNumber, measure, isDate: every((value) => DATE.test(value)), isId: every(isId) };
  });
}

/**
 * Adds the unassigned licenses and the rate of the dataset, if the answer lacks them and has the numbers for them. In
 * groups, over-deployed products hide unassigned licenses: there, the difference has another name, and can be negative.
 */
export function addComputed({ rows, columns }, isGrouped) {
  const nameOf = (measure) => columns.find((column) => column.measure === measure)?.name;
  const [sold, deployed] = [nameOf("sold"), nameOf("deployed")];
  if (sold === undefined || deployed === undefined) return { rows, columns };
  const fields = datasetOf(sold);
  const missing = ["unassigned", "rate"].filter((measure) => measure in fields && nameOf(measure) === undefined);
  if (missing.length === 0) return { rows, columns };
  const difference = `${keyword(sold)} − ${keyword(deployed)}`;
  const names = { unassigned: isGrouped ? difference : "unassigned", rate: "rate" };
  const computed = rows.map((row) => {
    const [bought, used] = [row[sold], row[deployed]];
    const isKnown = isPresent(bought) && isPresent(used);
    const values = {
      unassigned: isKnown ? Math.max(isGrouped ? -Infinity : 0, bought - used) : null,
      rate: isKnown && bought > 0 ? used / bought : null,
    };
    return missing.reduce((all, measure) => ({ ...all, [names[measure]]: values[measure] }), row);
  });
  const added = missing.map((measure) => {
    const isDifference = isGrouped && measure === "unassigned";
    return { name: names[measure], isNumber: true, measure, isComputed: true, isDifference, fields };
  });
  const place = columns.findLastIndex(({ isNumber }) => isNumber) + 1;
  return { rows: computed, columns: columns.toSpliced(place, 0, ...added) };
}

/** Returns how the page has computed a column; undefined if it has not. */
export function describeComputed({ isComputed, isDifference, measure, fields }) {
  if (!isComputed) return undefined;
  const [sold, deployed] = [inWords(fields.sold), inWords(fields.deployed)];
  if (measure === "rate") return `Computed by this page: ${deployed}, divided by ${sold}.`;
  const hidden = "Over-deployed products hide unused ones.";
  const advice = `${hidden} Select ${fields.unassigned} for the sum of unused licenses.`;
  return `Computed by this page: ${sold}, less ${deployed}.${isDifference ? ` ${advice}` : ""}`;
}

/** Returns the name of a column, with a mark if its number could be taken for the gateway's. */
export function markedName({ name, isComputed, isDifference }) {
  return isComputed && !isDifference ? `${name}, computed` : name;
}

/** Returns the columns for a phone: names and numbers come first, then other texts, dates and ids. */
export function forPhone(columns) {
  const rank = ({ name, isNumber, isDate, isId: isOfIds }) => {
    if (isNumber) return 1;
    if (isDate) return 3;
    return isOfIds ? 4 : /name$/i.test(name) ? 0 : 2;
  };
  return [...columns].sort((a, b) => rank(a) - rank(b));
}
