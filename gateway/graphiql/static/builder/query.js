// A query of a dataset inside the text of an operation. Its copies with changes give the changed text.

import { isVariable, nameNode, readLiteral, resolved, writeLiteral } from "./literals.js";
import { rowFields, withoutRowField, withRowField } from "./selection.js";
import { rewritten } from "./text.js";

const { Kind, print } = window.GraphiQL.GraphQL;

/**
 * A query of the operation: one field of a dataset, or several that differ only in alias and date. `source` is what
 * the editors have: `text`, the `operation` in it, its `fragments` by name, the `nodes` of the query's
 * fields, and the `definitions` of variables by name. `fields` are the same nodes with the changes so far, and
 * `variables` the values of variables with theirs.
 */
export class Query {
  constructor(dataset, source, fields, variables) {
    Object.assign(this, { dataset, source, fields, variables });
  }

  /** Returns the value of an argument, which may have variables inside; undefined if it is absent. */
  argument(name, index = 0) {
    const node = this.#argumentNode(name, index);
    if (node === undefined) return undefined;
    const value = readLiteral(node.value);
    return isVariable(value) ? this.valueOf(value.name.value) : value;
  }

  /** Returns the name of the variable that an argument is, or undefined. */
  variableOf(name, index = 0) {
    const value = this.#argumentNode(name, index)?.value;
    return isVariable(value) ? value.name.value : undefined;
  }

  /** Returns the value of an argument without variables in it. */
  resolvedArgument(name, index = 0) {
    return resolved(this.argument(name, index), (variable) => this.valueOf(variable));
  }

  /** Returns the value of a variable, which may be its default. */
  valueOf(variable) {
    if (variable in this.variables) return this.variables[variable];
    const node = this.source.definitions.get(variable)?.defaultValue;
    return node && readLiteral(node);
  }

  /** Returns the query with a value of an argument, or without the argument if the value is undefined. */
  with(name, value) {
    const variable = this.variableOf(name);
    const isRequired = this.source.definitions.get(variable)?.type.kind === Kind.NON_NULL_TYPE;
    const isKept = variable !== undefined && (value !== undefined || !isRequired);
    if (isKept) return this.withVariable(variable, value ?? null);
    return this.withFields((field) => withArgument(field, name, value, this.dataset.types[name]));
  }

  /** Returns the query with a value of a variable. */
  withVariable(variable, value) {
    return this.#copy(this.fields, { ...this.variables, [variable]: value });
  }

  /** Returns the query with its fields changed by `change`, which takes a field and its index. */
  withFields(change) {
    return this.#copy(this.fields.map(change), this.variables);
  }

  /** Returns the query with these fields instead of its own. */
  replacing(fields) {
    return this.#copy(fields, this.variables);
  }

  /** Returns the names of the rows' fields by their keys in the response. */
  get columns() {
    return rowFields(this.fields[0], this.source.fragments);
  }

  selects(name) {
    return [...this.columns.values()].includes(name);
  }

  /** Returns the query with a field in its rows, in front of those of `others` that are there. */
  selecting(name, others) {
    return this.withFields((field) => withRowField(field, name, this.source.fragments, others));
  }

  deselecting(name) {
    return this.withFields((field) => withoutRowField(field, name));
  }

  /** Returns the keys of the fields in the response. */
  get keys() {
    return this.fields.map(({ alias, name }) => (alias ?? name).value);
  }

  /** Returns the texts for the editors ({text, variables}); `variables` are values. */
  written() {
    return rewritten(this.source, this.fields, this.variables);
  }

  #argumentNode(name, index) {
    return this.fields[index]?.arguments?.find((argument) => argument.name.value === name);
  }

  #copy(fields, variables) {
    return new Query(this.dataset, this.source, fields, variables);
  }
}

/** Returns a field with a value of an argument, or without the argument if the value is undefined. */
export function withArgument(field, name, value, type) {
  const old = field.arguments ?? [];
  const place = old.findIndex((argument) => argument.name.value === name);
  if (value === undefined) return place < 0 ? field : { ...field, arguments: old.toSpliced(place, 1) };
  const argument = { kind: Kind.ARGUMENT, name: nameNode(name), value: writeLiteral(value, type) };
  return { ...field, arguments: place < 0 ? [...old, argument] : old.with(place, argument) };
}

/** Returns a text that is the same for fields of one query: it leaves out alias and dates. */
export function likeness(field, { dates }) {
  const kept = (field.arguments ?? []).filter(({ name }) => !dates.includes(name.value));
  return print({ ...field, alias: undefined, arguments: kept });
}
