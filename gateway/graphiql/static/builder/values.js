// The most frequent values of a dimension, with counts: one grouped query, sent on demand.

import { isPresent } from "../cells.js";
import { isCount } from "./datasets.js";
import { datesOf } from "./dates.js";

const { useEffect, useRef, useState } = window.React;

// A list to look through in the browser; the gateway searches further values (value_search.js).
export const MAX_VALUES = 1000;

/**
 * Returns the operation ({query, variables}) that asks for the values of a dimension, the most frequent ones first, and
 * the `measure` that counts them. It has the query's filter but for this dimension, and its latest date. With `search`,
 * it asks for those that contain these words.
 */
export function valuesOperation(query, dimension, search = "") {
  const { name, types, dates } = query.dataset;
  const measure = countedBy(query);
  const { [dimension.name]: _own, ...filter } = query.resolvedArgument("filter") ?? {};
  const date = datesOf(query).at(-1);
  const given = [
    ...(Object.keys(filter).length > 0 ? [["filter", filter]] : []),
    ...(date ? [[dates[0], date]] : []),
    ...(search ? [["search", search]] : []),
  ];
  const head = given.map(([argument]) => `$${argument}: ${types[argument]}`).join(", ");
  const order = measure?.order ? [`orderBy: [{field: ${measure.order}, direction: DESC}]`] : [];
  const place = [
    ...given.map(([argument]) => `${argument}: $${argument}`),
    `groupBy: [${dimension.value}]`,
    ...order,
    `first: ${MAX_VALUES}`,
  ];
  const fields = [dimension.name, measure?.name].filter(Boolean).join(" ");
  const text = `query BuilderValues${head && `(${head})`} {
  rows: ${name}(${place.join(", ")}) { totalCount nodes { ${fields} } }
}`;
  return { measure, operation: { query: text, variables: Object.fromEntries(given), operationName: "BuilderValues" } };
}

/** Returns the measure of counts: the first one that the query shows, or the first of the dataset. */
function countedBy(query) {
  const counts = query.dataset.measures.filter(isCount);
  const shown = [...query.columns.values()].map((name) => counts.find((measure) => measure.name === name));
  return shown.find(Boolean) ?? counts[0];
}

/**
 * Loads the values of a dimension once, and again when `reload` is called. Returns {isLoading, problem, values, total,
 * isWhole, query, measure, isOutdated, reload}; each of `values` is {text, count}. `isWhole` if these are all values of
 * the rows of `query`.
 */
export function useValues(query, dimension, ask) {
  const { measure, operation } = valuesOperation(query, dimension);
  const key = JSON.stringify(operation);
  const [loaded, setLoaded] = useState({ values: [] });
  const abort = useRef(null);
  const reload = async () => {
    abort.current?.abort();
    const { signal } = (abort.current = new AbortController());
    setLoaded({ key, isLoading: true, values: [] });
    const answer = await ask(operation, signal);
    if (!signal.aborted) setLoaded({ key, query, measure, ...readValues(answer, dimension, measure) });
  };
  useEffect(() => {
    reload();
    return () => abort.current.abort();
  }, []);
  return { ...loaded, isOutdated: loaded.key !== undefined && loaded.key !== key, reload };
}

/** Returns the values in the answer to their operation, or the problem. */
export function readValues(answer, dimension, measure) {
  const rows = answer.data?.rows;
  if (!rows) {
    const { message = "The gateway sent no values.", extensions } = answer.errors?.[0] ?? {};
    return { values: [], problem: { message, ...extensions } };
  }
  const present = rows.nodes.filter((node) => isPresent(node[dimension.name]));
  const values = present.map((node) => ({ text: node[dimension.name], count: measure ? node[measure.name] : null }));
  const total = rows.totalCount ?? values.length;
  return { values, total, isWhole: total <= rows.nodes.length };
}
