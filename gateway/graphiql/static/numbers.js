// Numbers for people. The page is in English, and so is its number format.

const NUMBER = new Intl.NumberFormat("en");

/** Formats a number, e.g. 1,208,808. */
export function formatNumber(number) {
  return NUMBER.format(number);
}

/** Formats a share in percent with `digits` decimals, e.g. 72%; a partial share is never rounded to 0 or 100. */
export function formatShare(share, digits = 0) {
  const step = 10 ** -digits;
  const rounded = Math.round((100 * share) / step) / 10 ** digits;
  if (rounded === 0 && share > 0) return `<${step}%`;
  if (rounded === 100 && share !== 1) return share < 1 ? `>${100 - step}%` : ">100%";
  return `${rounded.toLocaleString("en", { minimumFractionDigits: digits })}%`;
}

/**
 * Formats a share for a label, e.g. 39.6% or 72%: below 100 %, it has a decimal unless that is 0. Without it, a rate just
 * below a limit would seem to reach it.
 */
export function formatLabelShare(share) {
  return share < 1 ? formatShare(share, 1).replace(".0%", "%") : formatShare(share);
}

/** Returns, for example, "1 call" or "25 calls". */
export function counted(count, noun) {
  return `${formatNumber(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** Joins elements or texts, as children of an element. */
export function join(elements, separator) {
  return elements.flatMap((element, index) => (index === 0 ? [element] : [separator, element]));
}
