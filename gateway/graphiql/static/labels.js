// The labels of bars: the values of the columns that tell rows apart.

import { isPresent, plainText, shownText } from "./cells.js";

// Enough rows to find out which columns tell them apart.
const SAMPLE = 500;
// The number of combinations doubles with each column.
const MAX_COLUMNS = 8;

/**
 * Returns the columns that label the `shown` rows of a list, in the query's order: the fewest names that tell the
 * list's rows apart, and ids or dates if shown rows have the same names. Constant columns label nothing, except that an id
 * has its name beside it.
 */
export function labelColumns({ rows, columns }, shown) {
  const texts = columns.filter(({ name, isNumber }) => !isNumber && rows.some((row) => typeof row[name] === "string"));
  const varied = texts.filter((column) => countKeys(shown, [column]) > 1);
  const sample = [...shown, ...rows.slice(0, SAMPLE)];
  const names = fewest(varied.filter(isReadable), sample, []);
  const others = fewest(varied.filter((column) => !isReadable(column)), shown, names);
  const chosen = new Set([...names, ...others, ...namesBeside(others, names, texts)]);
  if (chosen.size > 0) return texts.filter((column) => chosen.has(column));
  return [texts.find(isReadable) ?? texts[0]].filter(Boolean);
}

/** Returns the names of what the ids stand for; all names, if nothing else than ids can be read. */
function namesBeside(others, readable, texts) {
  const ids = others.filter(({ isId }) => isId);
  const words = new Set(ids.map(({ name }) => firstWord(name)));
  const isWanted = ({ name }) => words.has(firstWord(name)) || readable.length === 0;
  return ids.length === 0 ? [] : texts.filter((column) => /name$/i.test(column.name) && isWanted(column));
}

function firstWord(name) {
  return /^[a-z]*/.exec(name)[0];
}

function isReadable({ isDate, isId }) {
  return !isDate && !isId;
}

/** Returns the smallest, first combination of `columns` that beside `others` tells as many rows apart as all of them. */
function fewest(columns, rows, others) {
  const candidates = columns.slice(0, MAX_COLUMNS);
  const most = countKeys(rows, [...others, ...candidates]);
  for (let size = 0; size < candidates.length; size += 1) {
    const found = combinations(candidates, size).find((some) => countKeys(rows, [...others, ...some]) === most);
    if (found) return found;
  }
  return candidates;
}

function combinations(items, size) {
  if (size === 0) return [[]];
  return items.flatMap((item, index) => combinations(items.slice(index + 1), size - 1).map((rest) => [item, ...rest]));
}

function countKeys(rows, columns) {
  return new Set(rows.map((row) => JSON.stringify(columns.map(({ name }) => row[name] ?? null)))).size;
}

/** Returns the label of each row. Ids are short, unless short ones are the same. */
export function labelsOf(rows, columns) {
  const [short, full] = [shownText, plainText].map((text) =>
    rows.map((row) => columns.map((column) => cellText(row[column.name], column, text)).join(" · ")),
  );
  return new Set(short).size === new Set(full).size ? short : full;
}

function cellText(value, column, text) {
  return isPresent(value) ? text(value, column) : "–";
}
