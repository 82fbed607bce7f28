// What the schema offers to the builder: its datasets, with their dimensions, measures and dates.

const { getNamedType, isEnumType, isInputObjectType, isObjectType } = window.GraphiQL.GraphQL;

const WHOLE_NUMBERS = ["Int", "Long"];
const NUMBERS = [...WHOLE_NUMBERS, "Float"];
const DATE = "DateTime";

/**
 * Returns the fields of the schema's query that have rows to group. Each has a `name`, the types of its arguments
 * (`types` by name), the names of its `dates` among them, its `dimensions` and its `measures`. `isDated` if rows have the
 * first of these dates.
 */
export function datasetsOf(schema) {
  const fields = Object.values(schema.getQueryType()?.getFields() ?? {});
  return fields.map(datasetOf).filter((dataset) => dataset !== null);
}

function datasetOf({ name, args, type }) {
  const row = rowType(getNamedType(type));
  const types = Object.fromEntries(args.map((argument) => [argument.name, argument.type]));
  const grouped = getNamedType(types.groupBy);
  if (!row || !isEnumType(grouped)) return null;
  const fields = Object.values(row.getFields()).map((field) => ({
    name: field.name,
    label: labelOf(field.name),
    description: field.description ?? "",
    kind: getNamedType(field.type).name,
  }));
  const orders = valuesOf(fieldsOf(types.orderBy).field?.type);
  const dimensions = fields
    .filter((field) => valuesOf(grouped).includes(constant(field.name)))
    .map((field) => ({ ...field, ...orderOf(field, orders), operators: operatorsOf(types.filter, field) }));
  const measures = fields
    .filter(isNumber)
    .map((field) => ({ ...field, ...orderOf(field, orders), operators: operatorsOf(types.having, field) }));
  const dates = args.filter((argument) => getNamedType(argument.type).name === DATE).map((argument) => argument.name);
  return { name, types, dimensions, measures, dates, isDated: dates[0] in row.getFields() };
}

/** Returns the type of a connection's rows, or undefined if it is no connection. */
function rowType(connection) {
  const nodes = isObjectType(connection) ? connection.getFields().nodes : undefined;
  const row = nodes && getNamedType(nodes.type);
  return isObjectType(row) ? row : undefined;
}

function fieldsOf(type) {
  const input = getNamedType(type);
  return isInputObjectType(input) ? input.getFields() : {};
}

function valuesOf(type) {
  const named = getNamedType(type);
  return isEnumType(named) ? named.getValues().map(({ name }) => name) : [];
}

function operatorsOf(conditions, { name }) {
  return Object.keys(fieldsOf(fieldsOf(conditions)[name]?.type));
}

/** Returns the value of the order's enumeration for a field; undefined if the rows cannot be ordered by it. */
function orderOf({ name }, orders) {
  const value = constant(name);
  return { value, order: orders.includes(value) ? value : undefined };
}

/** Returns whether sums of a measure are counts. */
export function isCount({ kind }) {
  return WHOLE_NUMBERS.includes(kind);
}

export function isNumber({ kind }) {
  return NUMBERS.includes(kind);
}

/** Returns the name of a field as an enumeration has it: "productName" is PRODUCT_NAME. */
function constant(name) {
  return wordsOf(name).join("_").toUpperCase();
}

/** Returns the name of a field for people: "productName" is "Product name". */
function labelOf(name) {
  const text = wordsOf(name).join(" ").toLowerCase();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function wordsOf(name) {
  return name.split(/(?<=[a-z\d])(?=[A-Z])/);
}
