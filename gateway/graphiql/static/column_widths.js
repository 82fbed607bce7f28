// The widths of a table's columns. They are set, because rendered rows change while the table scrolls.

import { isPresent, shownText } from "./cells.js";

// Wide enough for a header's longest word and its arrow.
const MIN_WIDTH = 64;
const MAX_TEXT_WIDTH = 210;
const MIN_TEXT_WIDTH = 90;
// A narrow table shows names and this many numbers without scrolling, or those of a comparison.
const NUMBERS_IN_ROOM = 2;
const COMPARED_NUMBERS = 3;
const PADDING = 18;
const NUMBER_PADDING = 30;
const COPY_BUTTON = 26;
const HEADER_PADDING = 30;
// Texts with the most characters are the widest but for a few pixels; measuring all of them would take longer.
const MEASURED_TEXTS = 3;

/**
 * Returns the width in pixels of each column of `rows`, in the `font` of the table. Names become narrow enough for the
 * first numbers beside them in `room`, the width of the visible part.
 */
export function columnWidths(columns, rows, font, room) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = font;
  const widest = (texts) => Math.max(0, ...texts.map((text) => pen.measureText(text).width));
  const widths = columns.map((column) => {
    const content = widest(longest(rows, column)) + extraWidth(column);
    // Headers wrap before capital letters. They are bold, hence a tenth more.
    const words = [...column.name.split(/(?<=[a-z])(?=[A-Z])/), column.isComputed ? "computed" : ""];
    const header = 1.1 * widest(words) + HEADER_PADDING;
    return Math.ceil(Math.max(MIN_WIDTH, header, isText(column) ? Math.min(content, MAX_TEXT_WIDTH) : content));
  });
  const most = textWidthIn(room, columns, widths);
  return widths.map((width, index) => (isText(columns[index]) ? Math.min(width, most) : width));
}

function isText({ isNumber, isId }) {
  return !isNumber && !isId;
}

/** Returns the width of a text column with which the names and the first numbers fit into `room`. */
function textWidthIn(room, columns, widths) {
  const place = columns.findIndex(({ isNumber }) => isNumber);
  if (place < 1) return MAX_TEXT_WIDTH;
  const count = columns.some(({ isChange }) => isChange) ? COMPARED_NUMBERS : NUMBERS_IN_ROOM;
  const numbers = widths.slice(place, place + count).reduce((sum, width) => sum + width, 0);
  return Math.max(MIN_TEXT_WIDTH, Math.floor((room - numbers) / place));
}

function extraWidth({ isNumber, isId }) {
  if (isNumber) return NUMBER_PADDING;
  return isId ? PADDING + COPY_BUTTON : PADDING;
}

/** Returns the longest few of the shown texts of a column. */
function longest(rows, column) {
  const values = new Set(rows.map((row) => row[column.name]).filter(isPresent));
  if (column.isNumber) {
    const numbers = [...values];
    const [low, high] = [numbers.reduce((a, b) => Math.min(a, b), 0), numbers.reduce((a, b) => Math.max(a, b), 0)];
    return [low, high, ...numbers.slice(0, MEASURED_TEXTS)].map((value) => shownText(value, column));
  }
  if (column.isId) return [...values].slice(0, 1).map((value) => shownText(value, column).replaceAll(/\w/g, "D"));
  const texts = [...values].map((value) => shownText(value, column));
  return texts.sort((a, b) => b.length - a.length).slice(0, MEASURED_TEXTS);
}
