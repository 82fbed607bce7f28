// Which rows of a long table are rendered: the visible ones and a margin. Thousands of rendered rows make scrolling slow.

const { useCallback, useEffect, useLayoutEffect, useRef, useState } = window.React;

// The rows change in steps, so that most scrolling changes nothing. Even, so that the stripes stay with their rows.
const STEP = 10;
const MARGIN = 20;
// Until a row and the box are measured.
const FIRST_ROW_HEIGHT = 28;
const FIRST_COUNT = 40;

/**
 * Returns {ref, start, end, above, below}: `ref` belongs on the table's body, rows from `start` to before `end` are
 * rendered, and `above` and `below` are the heights in pixels of the others. The table starts at the top again
 * whenever `order` changes.
 */
export function useVisibleRows(count, order) {
  const body = useRef(null);
  const [rowHeight, setRowHeight] = useState(FIRST_ROW_HEIGHT);
  const [{ start, end }, setRange] = useState({ start: 0, end: FIRST_COUNT });

  const look = useCallback(() => {
    const box = boxOf(body.current);
    const first = Math.floor(box.scrollTop / rowHeight / STEP) * STEP;
    const shown = Math.ceil(box.clientHeight / rowHeight / STEP + 1) * STEP;
    const range = { start: Math.max(0, first - MARGIN), end: first + shown + MARGIN };
    setRange((old) => (old.start === range.start && old.end === range.end ? old : range));
    keepFocus(body.current, box, range);
  }, [rowHeight]);

  useLayoutEffect(() => {
    const height = body.current.rows[0]?.getBoundingClientRect().height;
    if (height > 0) setRowHeight(height);
  }, [count]);

  useEffect(() => {
    const box = boxOf(body.current);
    const sizes = new ResizeObserver(look);
    sizes.observe(box);
    box.addEventListener("scroll", look, { passive: true });
    return () => {
      sizes.disconnect();
      box.removeEventListener("scroll", look);
    };
  }, [look]);

  useLayoutEffect(() => {
    boxOf(body.current).scrollTop = 0;
    look();
  }, [order]);

  const last = Math.min(end, count);
  const first = Math.min(start, Math.max(0, Math.floor((count - 1) / STEP) * STEP));
  return { ref: body, start: first, end: last, above: first * rowHeight, below: (count - last) * rowHeight };
}

function boxOf(element) {
  return element.closest(".results-scroll");
}

/** Moves the focus from a row that will disappear to the box, so that the keyboard can still scroll. */
function keepFocus(body, box, { start, end }) {
  const row = document.activeElement?.closest("tr");
  if (!row || !body.contains(row)) return;
  // The header is the first row.
  const index = row.ariaRowIndex - 2;
  if (index < start || index >= end) box.focus({ preventScroll: true });
}
