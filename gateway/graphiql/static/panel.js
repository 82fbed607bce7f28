// The parts of the panel over the result pane, and their places.

const { createElement: h, useEffect, useRef, useState } = window.React;
const { createPortal } = window.ReactDOM;

export const VIEWS = ["JSON", "Table", "Chart"];

/** Renders its children before the result pane and `below` behind it; GraphiQL has no slots there. */
export function AroundResult({ view, isEmpty, isOutdated, below, children }) {
  const here = useRef(null);
  const [panel] = useState(() => document.createElement("section"));
  const [line] = useState(() => document.createElement("p"));
  useEffect(() => {
    panel.className = "results";
    panel.setAttribute("aria-label", "Views of the answer");
    line.className = "happened";
    const pane = here.current.closest(".graphiql-response");
    pane.prepend(panel);
    pane.append(line);
    return () => [panel, line].forEach((element) => element.remove());
  }, []);
  useEffect(() => {
    panel.dataset.view = view;
    panel.toggleAttribute("data-empty", isEmpty);
    panel.toggleAttribute("data-outdated", isOutdated);
  }, [view, isEmpty, isOutdated]);
  return h("span", { ref: here, hidden: true }, createPortal(children, panel), createPortal(below, line));
}

export function ViewButtons({ view, setView }) {
  const buttons = VIEWS.map((name) =>
    h("button", { key: name, type: "button", "aria-pressed": name === view, onClick: () => setView(name) }, name),
  );
  return h("div", { role: "group", "aria-label": "Show the answer as", className: "results-views" }, buttons);
}

export function Action(props) {
  return h("button", { type: "button", ...props });
}

/** A scrolling box; it is focusable so that the keyboard can scroll it. */
export function Room({ view, list, isTurning, children }) {
  const label = `${view} of ${list.name}`;
  const region = { className: "results-scroll", role: "region", "aria-label": label, "aria-busy": isTurning, tabIndex: 0 };
  return h("div", { className: "results-room" }, h("div", region, children));
}

export function Summary({ list, lists, setChosenName, status, notice }) {
  const options = lists.map(({ name }) => h("option", { key: name }, name));
  const choose = (event) => setChosenName(event.target.value);
  const choice = h("select", { "aria-label": "Rows of", value: list?.name, onChange: choose }, options);
  return h(
    "p",
    { className: "summary" },
    h("span", { className: "about" }, lists.length > 1 ? choice : list?.name, " ", h("span", { role: "status" }, status)),
    h("span", { className: "notice", role: "status" }, notice),
  );
}
