// The builder: a plugin of GraphiQL whose clicks write the operation, and that follows what is typed.

import { useText } from "../editors.js";
import { About, NoQuery } from "./about.js";
import { Dates, Order, Search } from "./arrangement.js";
import { groupsOf, togglingField, togglingGroup } from "./edits.js";
import { Filters } from "./filters.js";
import { Chips, Section } from "./parts.js";
import { Thresholds } from "./thresholds.js";
import { addQuery, datasetsIn, queriesIn, writeQuery } from "./workspace.js";

const { createElement: h, Fragment, useMemo, useState } = window.React;
const { useEditorContext, useExecutionContext, useSchemaStore } = window.GraphiQL.React;

const TITLE = "Builder";
// There, the builder covers the answer.
const PHONE = window.matchMedia("(max-width: 700px)");

/**
 * Returns GraphiQL's plugin. `ask` sends an operation with headers; `describeProblem` says an error in a sentence.
 */
export function builderPlugin(options) {
  return { title: TITLE, icon: Icon, content: () => h(Builder, options) };
}

/** Three sliders. */
function Icon() {
  const lines = h("path", { d: "M3 5h6m4 0h4M3 10h1m4 0h9M3 15h9m4 0h1" });
  const knobs = [
    [11, 5],
    [6, 10],
    [14, 15],
  ].map(([cx, cy]) => h("circle", { key: cy, cx, cy, r: 2 }));
  const look = { viewBox: "0 0 20 20", fill: "none", stroke: "currentColor", strokeWidth: 1.5, strokeLinecap: "round" };
  return h("svg", { ...look, "aria-hidden": true, focusable: false }, lines, knobs);
}

function Builder({ ask, describeProblem }) {
  const execution = useExecutionContext({ nonNull: true });
  const { editors, headers, schema, fetchError, read, query, setChosen, change } = useQuery();
  if (!schema) return h(Frame, null, h("p", { className: "builder-hint" }, describeSchema(fetchError)));
  const datasets = datasetsIn(schema);
  if (!query) {
    const start = (dataset) => addQuery(editors, read.operation, dataset);
    return h(Frame, null, h(NoQuery, { read, datasets, onStart: start }));
  }
  const askHere = async (operation, signal) => {
    const sent = readHeaders(headers);
    return sent ? ask(operation, sent, signal) : { errors: [{ message: "The headers are not JSON." }] };
  };
  const run = () => {
    execution.run();
    // GraphiQL uncovers the answer only if its own button is clicked.
    if (PHONE.matches) document.querySelector(`.graphiql-sidebar [aria-label="Hide ${TITLE}"]`)?.click();
  };
  const of = `${editors.activeTabIndex} ${headers}`;
  return h(
    Frame,
    null,
    h(About, { read, query, datasets, setChosen, change }),
    h(Sections, { query, change, ask: askHere, describeProblem, of }),
    h("div", { className: "builder-foot" }, h("button", { type: "button", onClick: run }, "Run")),
  );
}

function Frame({ children }) {
  const title = h("h2", { id: "builder-title" }, TITLE);
  return h("section", { className: "builder", "aria-labelledby": "builder-title" }, title, children);
}

/**
 * Returns the editors, the text of the Headers pane, the schema or its `fetchError`, and what is `read` from the editors
 * (reading.js): the `query` of `setChosen`, and `change`, which writes an edit of it.
 */
function useQuery() {
  const editors = useEditorContext({ nonNull: true });
  const { schema, fetchError } = useSchemaStore();
  const { queryEditor } = editors;
  const text = useText(queryEditor);
  const variablesText = useText(editors.variableEditor);
  const headers = useText(editors.headerEditor);
  const [chosen, setChosen] = useState(0);
  const read = useMemo(() => queriesIn(editors, schema), [text, variablesText, schema, queryEditor]);
  const query = read.queries[chosen] ?? read.queries[0];
  const change = (edit) => {
    const { queries } = queriesIn(editors, schema, query.source.operation.name?.value);
    const before = queries[chosen] ?? queries[0];
    if (before) writeQuery(editors, before, edit(before));
  };
  return { editors, headers, schema, fetchError, read, query, setChosen, change };
}

function describeSchema(fetchError) {
  if (!fetchError) return "Loading the schema …";
  return "The builder needs the schema, which did not arrive. Introspection may be off (GATEWAY_INTROSPECTION).";
}

/** Returns the headers in the text of the Headers pane, or null if it is no JSON. */
function readHeaders(text) {
  try {
    return Object(JSON.parse(text || "{}"));
  } catch {
    return null;
  }
}

/** The controls; `of` changes with the tab and the token, whose values are different ones. */
function Sections({ query, change, ask, describeProblem, of }) {
  const { dimensions, measures } = query.dataset;
  const groups = groupsOf(query);
  const source = `${query.dataset.name} ${of}`;
  return h(
    Fragment,
    null,
    h(
      Section,
      { title: "Group by" },
      h(Chips, {
        items: dimensions,
        isOn: (dimension) => groups.includes(dimension),
        onToggle: (dimension) => change((current) => togglingGroup(current, dimension)),
      }),
    ),
    h(
      Section,
      { title: "Show" },
      h(Chips, {
        items: measures,
        isOn: ({ name }) => query.selects(name),
        onToggle: (measure) => change((current) => togglingField(current, measure)),
      }),
    ),
    h(Filters, { key: `filters ${source}`, query, change, ask, describeProblem }),
    h(Thresholds, { query, change }),
    h(Search, { query, change }),
    h(Order, { query, change }),
    h(Dates, { key: `dates ${source}`, query, change, ask, describeProblem }),
  );
}
