// Counts the rows of an export while its bytes arrive.

const [NEW_LINE, QUOTE] = ["\n", '"'].map((letter) => letter.charCodeAt(0));

/** Counts the lines of NDJSON, or those of CSV: its first one is a header, and a quoted cell may have several. */
export class RowCounter {
  #isCsv;
  #lines = 0;
  #isQuoted = false;

  constructor(format) {
    this.#isCsv = format === "csv";
  }

  add(bytes) {
    for (const byte of bytes) {
      if (byte === QUOTE && this.#isCsv) this.#isQuoted = !this.#isQuoted;
      else if (byte === NEW_LINE && !this.#isQuoted) this.#lines += 1;
    }
  }

  get rows() {
    return Math.max(0, this.#lines - (this.#isCsv ? 1 : 0));
  }
}
