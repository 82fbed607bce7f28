// The conditions of a query on its dimensions (`filter`) and measures (`having`).

import { fromStart } from "./edits.js";
import { isVariable, resolved } from "./literals.js";

// The operators for one value and for several.
const IS = ["eq", "in"];
const IS_NOT = ["ne", "notIn"];

/**
 * Returns the condition on a dimension: its `values`, whether they are the excluded ones (`isNot`), and the name of the
 * `variable` that has them. `isOther` if the operation has one of another kind. Without a condition, there are no values.
 */
export function conditionOn(query, { name }) {
  const condition = query.argument("filter")?.[name];
  const entries = Object.entries(condition ?? {});
  if (entries.length === 0) return { values: [], isNot: false };
  const [[operator, value]] = entries;
  if (entries.length > 1 || ![...IS, ...IS_NOT].includes(operator)) return { values: [], isNot: false, isOther: true };
  const all = [resolved(value, (variable) => query.valueOf(variable))].flat();
  return {
    values: all.filter((each) => typeof each === "string"),
    isNot: IS_NOT.includes(operator),
    variable: isVariable(value) ? value.name.value : undefined,
  };
}

/** Returns the query with a condition on a dimension; without values it has none. */
export function withCondition(query, dimension, { values, isNot }) {
  const filter = query.argument("filter") ?? {};
  const { [dimension.name]: old = {}, ...others } = filter;
  if (values.length === 0) return withFilter(query, others);
  const [one, several] = isNot ? IS_NOT : IS;
  for (const [operator, value] of Object.entries(old ?? {})) {
    const fits = operator === several || (operator === one && values.length === 1);
    if (isVariable(value) && fits) {
      return fromStart(query).withVariable(value.name.value, operator === one ? values[0] : values);
    }
  }
  const condition = values.length === 1 ? { [one]: values[0] } : { [several]: values };
  return withFilter(query, { ...filter, [dimension.name]: condition });
}

/** Returns the query with the values of a row's dimensions, and nothing else in these dimensions. */
export function withOnly(query, pairs) {
  return pairs.reduce(
    (result, [dimension, value]) => withCondition(result, dimension, { values: [value], isNot: false }),
    query,
  );
}

/** Returns the query without the rows that have a value. */
export function without(query, dimension, value) {
  const { values, isNot } = conditionOn(query, dimension);
  if (isNot) return withCondition(query, dimension, { values: [...new Set([...values, value])], isNot });
  const left = values.filter((each) => each !== value);
  return withCondition(query, dimension, left.length > 0 ? { values: left, isNot } : { values: [value], isNot: true });
}

/** Returns the parts of a filter or a `having` that the builder has no controls for, by their keys. */
export function otherParts(query, argument, names) {
  return Object.entries(query.argument(argument) ?? {}).filter(([key]) => !names.includes(key));
}

/** Returns the query without a part of its filter or `having`. */
export function withoutPart(query, argument, key) {
  const { [key]: _removed, ...others } = query.argument(argument) ?? {};
  return fromStart(query).with(argument, orNothing(others));
}

function withFilter(query, filter) {
  return fromStart(query).with("filter", orNothing(filter));
}

/**
 * Returns the conditions on measures. Each has the `measure`, its `operator`, its `value`, and the name of the `variable`
 * that has the value.
 */
export function thresholdsOf(query) {
  const having = query.argument("having") ?? {};
  return query.dataset.measures.flatMap((measure) =>
    Object.entries(having[measure.name] ?? {}).map(([operator, value]) => ({
      measure,
      operator,
      value: resolved(value, (variable) => query.valueOf(variable)),
      variable: isVariable(value) ? value.name.value : undefined,
    })),
  );
}

/** Returns the query with another operator and value of a threshold; without a value, the threshold is removed. */
export function withThreshold(query, { measure, operator, variable }, { operator: wanted = operator, value }) {
  if (variable !== undefined && value !== undefined && wanted === operator) {
    return fromStart(query).withVariable(variable, value);
  }
  const having = query.argument("having") ?? {};
  const entries = Object.entries(having[measure.name] ?? {}).filter(([key]) => key !== wanted || key === operator);
  const changed = entries.flatMap(([key, old]) => (key === operator ? next(wanted, value) : [[key, old]]));
  const condition = orNothing(Object.fromEntries(changed));
  const { [measure.name]: _old, ...others } = having;
  const all = condition === undefined ? others : { ...having, [measure.name]: condition };
  return fromStart(query).with("having", orNothing(all));
}

function next(operator, value) {
  return value === undefined ? [] : [[operator, value]];
}

/** Returns the query with a new threshold of a measure, which its rows then show. */
export function withNewThreshold(query, measure) {
  const having = query.argument("having") ?? {};
  const old = having[measure.name] ?? {};
  const operator = ["gt", "lt", ...measure.operators].find((each) => measure.operators.includes(each) && !(each in old));
  if (operator === undefined) return query;
  const added = { ...having, [measure.name]: { ...old, [operator]: 0 } };
  return fromStart(query).with("having", added).selecting(measure.name);
}

function orNothing(value) {
  return Object.keys(value).length > 0 ? value : undefined;
}
