// Changes of a query: its groups, numbers, order, search and size. Each leaves the other parts of the operation as they are.

const START = ["after", "before", "offset"];

/** Returns the query at its first row: a place among other rows would mean nothing. */
export function fromStart(query) {
  return START.reduce(
    (result, name) => (result.argument(name) === undefined ? result : result.with(name, undefined)),
    query,
  );
}

/** Returns the dimensions that the query groups by, in its order. */
export function groupsOf(query) {
  const values = [query.argument("groupBy") ?? []].flat();
  const found = values.map((value) => query.dataset.dimensions.find((dimension) => dimension.value === value));
  return found.filter(Boolean);
}

/** Returns the query grouped by `dimensions`. Its rows show these and no others, because others are null in groups. */
export function withGroups(query, dimensions) {
  const { dataset } = query;
  const grouped = fromStart(query).with("groupBy", orNothing(dimensions.map(({ value }) => value)));
  if (dimensions.length === 0) return grouped;
  const measures = dataset.measures.map(({ name }) => name);
  const selected = dataset.dimensions.reduce(
    (result, dimension) =>
      dimensions.includes(dimension) ? result.selecting(dimension.name, measures) : result.deselecting(dimension.name),
    grouped,
  );
  const orders = orderableBy(selected).map(({ order }) => order);
  const steps = orderOf(selected);
  const left = steps.filter(({ field }) => orders.includes(field));
  return left.length === steps.length ? selected : withOrder(selected, left);
}

/** Returns the query with or without a group of its own for each value of a dimension. */
export function togglingGroup(query, dimension) {
  const groups = groupsOf(query);
  const isOn = groups.includes(dimension);
  return withGroups(query, isOn ? groups.filter((each) => each !== dimension) : [...groups, dimension]);
}

/** Returns the query with or without a field in its rows. */
export function togglingField(query, { name }) {
  return query.selects(name) ? query.deselecting(name) : query.selecting(name);
}

/** Returns the dimensions and measures that the query's rows can be ordered by: in groups, others are null. */
export function orderableBy(query) {
  const { dimensions, measures } = query.dataset;
  const groups = groupsOf(query);
  return [...measures, ...(groups.length > 0 ? groups : dimensions)].filter(({ order }) => order !== undefined);
}

/** Returns the steps of the query's order ({field, isDescending}). */
export function orderOf(query) {
  const steps = [query.resolvedArgument("orderBy") ?? []].flat();
  return steps.map(({ field, direction }) => ({ field, isDescending: direction === "DESC" }));
}

/** Returns the query with these steps of its order; its rows show what they are ordered by. */
export function withOrder(query, steps) {
  const nodes = steps.map(({ field, isDescending }) => ({ field, direction: isDescending ? "DESC" : "ASC" }));
  const ordered = fromStart(query).with("orderBy", orNothing(nodes));
  const shown = orderableBy(ordered).filter(({ order }) => steps.some(({ field }) => field === order));
  return shown.reduce((result, { name }) => result.selecting(name), ordered);
}

export function withSearch(query, text) {
  const variable = query.variableOf("search");
  // A blank search finds everything, and its variable may be required.
  if (variable !== undefined) return fromStart(query).withVariable(variable, text);
  return fromStart(query).with("search", text === "" ? undefined : text);
}

/** Returns the query with a number of rows from its start. */
export function withFirst(query, count) {
  const started = fromStart(query);
  return (started.argument("last") === undefined ? started : started.with("last", undefined)).with("first", count);
}

function orNothing(values) {
  return values.length > 0 ? values : undefined;
}
