// What the columns of a response measure, judged by their names.

// In the order of a row's bar and of a line of totals. The first pattern that matches counts.
const PATTERNS = {
  over: /over_?deployed/i,
  unassigned: /unassigned/i,
  rate: /rate$/i,
  sold: /sold/i,
  deployed: /deployed/i,
};

/** The measures in the order in which people read them. */
export const MEASURES = ["sold", "deployed", "unassigned", "over", "rate"];

/** Returns the measure of a field or an enum value, such as "sold"; undefined if it is none. */
export function measureOf(name) {
  return Object.keys(PATTERNS).find((measure) => PATTERNS[measure].test(name));
}

/** Returns whether a text names a measure that sums cannot give: over-deployed products would hide unused licenses. */
export function namesExceptional(text) {
  return PATTERNS.over.test(text) || PATTERNS.unassigned.test(text);
}
