// The bar's buttons and field for the token, and what the token says about itself.

import { describeToken } from "./jwt.js";

const REFRESH_MS = 5_000;

/** Connects the parts that the page has: the sandbox's has buttons, that of a real upstream shows the token's expiry. */
export function connectTokenBar(authorization, clock) {
  connectButtons(authorization);
  const field = document.getElementById("token");
  if (field !== null) connectField(field, authorization);
  const expiry = document.getElementById("token-expiry");
  if (expiry !== null) connectExpiry(expiry, document.getElementById("token-problems"), authorization, clock);
}

/** The buttons that choose a token of the sandbox. */
function connectButtons(authorization) {
  const buttons = document.querySelectorAll("button[data-token]");
  for (const button of buttons) button.addEventListener("click", () => authorization.choose(button.dataset.token));
  authorization.watch((token) => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.token === token));
  });
}

/** The field for a real access token, or for a token of the sandbox with faults. */
function connectField(field, authorization) {
  field.addEventListener("input", () => authorization.choose(field.value.replace(/^\s*bearer\s+/i, "").trim()));
  authorization.watch((token = "") => {
    if (field.value.trim() !== token) field.value = token;
  });
}

function connectExpiry(expiry, problems, authorization, clock) {
  let token;
  const show = () => {
    const shown = describeToken(token, clock.seconds());
    expiry.textContent = shown.expiry;
    const text = shown.problems.length > 0 ? `Partner Center will refuse this token. ${shown.problems.join(" ")}` : "";
    // Screen readers announce each change, even to the same text.
    if (problems.textContent !== text) problems.textContent = text;
  };
  authorization.watch((current) => {
    token = current;
    show();
  });
  setInterval(show, REFRESH_MS);
}
