// What the columns of a response measure, judged by their names.

// The measures of each dataset by role (schema/measure_roles.py). A role is called after the first dataset's measure:
// "deployed" is the part and "sold" the whole of a rate, "unassigned" the rest, and "over" what exceeds the whole.
export const DATASETS = JSON.parse(document.getElementById("graphiql").dataset.measures);

/** The roles in the order in which people read them. */
export const MEASURES = ["sold", "deployed", "unassigned", "over", "rate"];

// In the order of a row's bar and of a line of totals. The first entry that matches counts.
const ENTRIES = ["over", "unassigned", "rate", "sold", "deployed"].flatMap((role) =>
  DATASETS.filter((measures) => role in measures).map((measures) => ({ role, field: measures[role] })),
);

const NAMES = { unassigned: "unassigned licenses", over: "over-deployed licenses" };

function wordsOf(field) {
  return field.replace(/[A-Z]/g, (letter) => ` ${letter}`).toLowerCase().split(" ");
}

function matches({ role, field }, text) {
  const word = wordsOf(field).at(-1);
  return role === "rate" ? text.endsWith(word) : text.includes(word);
}

/** Returns the measure that a name stands for: of a field, an enum value or an alias. Undefined if it is none. */
function entryOf(name) {
  const text = name.replaceAll("_", "").toLowerCase();
  return ENTRIES.find(({ field }) => field.toLowerCase() === text) ?? ENTRIES.find((entry) => matches(entry, text));
}

/** Returns the role of a field or an enum value, such as "sold"; undefined if it is no measure. */
export function measureOf(name) {
  return entryOf(name)?.role;
}

/** Returns the measures, by role, of the dataset that has the measure `name`. */
export function datasetOf(name) {
  const field = entryOf(name)?.field;
  return DATASETS.find((measures) => Object.values(measures).includes(field)) ?? {};
}

/** Returns the measure `name` in words, such as "licenses sold"; another name is returned as it is. */
export function inWords(name) {
  const entry = entryOf(name);
  return entry ? (NAMES[entry.role] ?? wordsOf(entry.field).join(" ")) : name;
}

/** Returns what distinguishes the measure `name` from others, such as "sold"; of a rate, "deployment". */
export function keyword(name) {
  const entry = entryOf(name);
  if (!entry) return name;
  return entry.role === "over" ? "over-deployed" : wordsOf(entry.field).at(entry.role === "rate" ? 0 : -1);
}

/** Returns whether a text names a measure that sums cannot give: over-deployed products would hide unused licenses. */
export function namesExceptional(text) {
  const plain = text.replaceAll("_", "").toLowerCase();
  return ENTRIES.some((entry) => ["over", "unassigned"].includes(entry.role) && matches(entry, plain));
}
