// The time, by the gateway's clock if this computer's differs from it.

// The gateway's header has whole seconds and was on its way; a smaller difference says nothing.
const TOLERANCE_MS = 60_000;

export class Clock {
  #offsetMs = 0;

  /** Compares this computer's clock with `date`, the text of a response's header Date; null if it has none. */
  note(date) {
    const offset = Date.parse(date ?? "") - Date.now();
    if (!Number.isNaN(offset)) this.#offsetMs = Math.abs(offset) > TOLERANCE_MS ? offset : 0;
  }

  /** Returns the seconds since 1970. */
  seconds() {
    return (Date.now() + this.#offsetMs) / 1000;
  }
}
