// The values of arguments, as JavaScript values. Variables and numbers too large for JavaScript stay nodes of the syntax
// tree, so that writing a value changes nothing in them.

const { Kind, getNullableType, getNamedType, isEnumType, isInputObjectType, isListType } = window.GraphiQL.GraphQL;

/** Returns whether a value is a variable in the operation. */
export function isVariable(value) {
  return value?.kind === Kind.VARIABLE;
}

/** Returns the value of a node. */
export function readLiteral(node) {
  switch (node.kind) {
    case Kind.NULL:
      return null;
    case Kind.INT:
    case Kind.FLOAT:
      return readNumber(node);
    case Kind.LIST:
      return node.values.map(readLiteral);
    case Kind.OBJECT:
      return Object.fromEntries(node.fields.map(({ name, value }) => [name.value, readLiteral(value)]));
    case Kind.VARIABLE:
      return node;
    default:
      return node.value;
  }
}

function readNumber(node) {
  const number = Number(node.value);
  return Number.isInteger(number) && !Number.isSafeInteger(number) ? node : number;
}

/** Returns a value of the type as a node. */
export function writeLiteral(value, type) {
  if (value === null || value === undefined) return { kind: Kind.NULL };
  if (isNode(value)) return value;
  if (Array.isArray(value)) {
    const item = itemType(type);
    return { kind: Kind.LIST, values: value.map((each) => writeLiteral(each, item)) };
  }
  if (typeof value === "object") return writeObject(value, type);
  if (typeof value === "boolean") return { kind: Kind.BOOLEAN, value };
  if (typeof value === "number") return { kind: Number.isInteger(value) ? Kind.INT : Kind.FLOAT, value: String(value) };
  return { kind: isEnumType(getNamedType(type)) ? Kind.ENUM : Kind.STRING, value };
}

/** Returns a value that has no variables in it: `valueOf` returns those of variables. */
export function resolved(value, valueOf) {
  if (isVariable(value)) return valueOf(value.name.value);
  if (isNode(value)) return Number(value.value);
  if (Array.isArray(value)) return value.map((item) => resolved(item, valueOf));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolved(item, valueOf)]));
}

function isNode(value) {
  return isVariable(value) || value?.kind === Kind.INT || value?.kind === Kind.FLOAT;
}

function writeObject(value, type) {
  const named = getNamedType(type);
  const types = isInputObjectType(named) ? named.getFields() : {};
  const fields = Object.entries(value).map(([key, item]) => ({
    kind: Kind.OBJECT_FIELD,
    name: nameNode(key),
    value: writeLiteral(item, types[key]?.type),
  }));
  return { kind: Kind.OBJECT, fields };
}

function itemType(type) {
  const list = type && getNullableType(type);
  return isListType(list) ? list.ofType : type;
}

export function nameNode(value) {
  return { kind: Kind.NAME, value };
}
