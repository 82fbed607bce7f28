// Each GraphiQL tab has its own headers, but users should enter a token only once. So the last token is stored, only in
// this object, and shown in tabs with unedited headers.

const PLACEHOLDER = "Bearer <paste an access token here>";

/** The authorization shared by all tabs of a page. */
export class Authorization {
  #last;
  #editor = null;
  #untouched = new Set();
  #listeners = new Set();

  constructor(sandbox) {
    this.#last = sandbox ? "Bearer contoso" : PLACEHOLDER;
  }

  /** Returns the initial text of a tab's Headers pane. */
  startHeaders() {
    const text = JSON.stringify({ Authorization: this.#last }, null, 2);
    this.#untouched.add(text);
    return text;
  }

  /** Returns the headers to send for a tab, and stores their token; a placeholder is never sent. */
  prepareHeaders = (headers) => {
    const name = authorizationName(headers);
    if (name === undefined) return headers;
    if (headers[name] !== PLACEHOLDER) this.#last = headers[name];
    return this.#resolved(headers, name);
  };

  /** Sets `token` in the current tab's headers and leaves the others unchanged; "" removes it. */
  choose(token) {
    this.#last = token === "" ? PLACEHOLDER : `Bearer ${token}`;
    if (this.#editor === null) return;
    const { [authorizationName(this.#shown())]: _former, ...others } = this.#shown();
    this.#editor.setValue(JSON.stringify({ Authorization: this.#last, ...others }, null, 2));
    // The token was chosen, not typed, so this tab also follows the next choice.
    if (Object.keys(others).length === 0) this.#untouched.add(this.#editor.getValue());
  }

  /** Follows the editor of the Headers pane, which all tabs share; returns a function that stops it. */
  attach(editor) {
    const follow = (_, changes) => {
      // Only GraphiQL sets the whole text, when a tab is opened; typed text is left unchanged.
      const opened = changes.some((change) => change.origin === "setValue");
      if (opened && this.#untouched.has(editor.getValue())) this.#refresh();
      this.#notify();
    };
    this.#editor = editor;
    editor.on("changes", follow);
    this.#notify();
    return () => editor.off("changes", follow);
  }

  /** Calls `listener` with the current tab's token, now and at each change; returns a function that stops it. */
  watch(listener) {
    this.#listeners.add(listener);
    this.#notify();
    return () => this.#listeners.delete(listener);
  }

  /** Returns the headers with a placeholder under `name` replaced by the stored token, or removed. */
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

  #notify() {
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
