// Each GraphiQL tab has headers of its own, but a token given in one of them should not have to be given again in the
// others. So the last one is remembered, in this object and nowhere else, and shown in tabs whose headers are untouched.

const PLACEHOLDER = "Bearer <paste an access token here>";

/** The authorization that all tabs of one page share. */
export class Authorization {
  #last;
  #editor = null;
  #untouched = new Set();
  #listeners = new Set();

  constructor(sandbox) {
    this.#last = sandbox ? "Bearer contoso" : PLACEHOLDER;
  }

  /** The text that the Headers pane of a tab starts with. */
  startHeaders() {
    const text = JSON.stringify({ Authorization: this.#last }, null, 2);
    this.#untouched.add(text);
    return text;
  }

  /** Turns a tab's headers into those to send, and remembers the token among them; a placeholder is never sent. */
  prepareHeaders = (headers) => {
    const name = authorizationName(headers);
    if (name === undefined) return headers;
    if (headers[name] !== PLACEHOLDER) this.#last = headers[name];
    return this.#resolved(headers, name);
  };

  /** Puts `token` into the headers of the tab in view, beside whatever else is there; "" takes it out of them. */
  choose(token) {
    this.#last = token === "" ? PLACEHOLDER : `Bearer ${token}`;
    if (this.#editor === null) return;
    const { [authorizationName(this.#shown())]: _former, ...others } = this.#shown();
    this.#editor.setValue(JSON.stringify({ Authorization: this.#last, ...others }, null, 2));
    // Chosen, not typed: such a tab follows the next choice, too.
    if (Object.keys(others).length === 0) this.#untouched.add(this.#editor.getValue());
  }

  /** Follows the editor of the Headers pane, which shows one tab after the other; returns how to stop. */
  attach(editor) {
    const follow = (_, changes) => {
      // What GraphiQL itself puts there is the text of a tab just opened; what a person types is left alone.
      const opened = changes.some((change) => change.origin === "setValue");
      if (opened && this.#untouched.has(editor.getValue())) this.#refresh();
      this.#tell();
    };
    this.#editor = editor;
    editor.on("changes", follow);
    this.#tell();
    return () => editor.off("changes", follow);
  }

  /** Calls `listener` with the token that the tab in view would send, now and whenever it changes; returns how to stop. */
  watch(listener) {
    this.#listeners.add(listener);
    this.#tell();
    return () => this.#listeners.delete(listener);
  }

  /** The headers with the placeholder under `name`, if it is there, replaced by what is sent for it. */
  #resolved(headers, name) {
    if (headers[name] !== PLACEHOLDER) return headers;
    const { [name]: _placeholder, ...others } = headers;
    return this.#last === PLACEHOLDER ? others : { ...others, Authorization: this.#last };
  }

  #refresh() {
    const text = this.startHeaders();
    if (this.#editor.getValue() !== text) this.#editor.setValue(text);
  }

  #shown() {
    try {
      const headers = JSON.parse(this.#editor.getValue());
      return headers !== null && typeof headers === "object" && !Array.isArray(headers) ? headers : {};
    } catch {
      return {};
    }
  }

  #tell() {
    if (this.#editor === null) return;
    const shown = this.#shown();
    const headers = this.#resolved(shown, authorizationName(shown));
    const [scheme, token] = String(headers[authorizationName(headers)]).split(" ");
    const isToken = scheme.toLowerCase() === "bearer" && token !== "";
    for (const listener of this.#listeners) listener(isToken ? token : undefined);
  }
}

function authorizationName(headers) {
  return Object.keys(headers).find((key) => key.toLowerCase() === "authorization");
}
