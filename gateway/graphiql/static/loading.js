// Replaces "Loading" with an error if a script of the page does not arrive or fails. A classic script without imports:
// browsers load it even where they refuse modules.

addEventListener("error", ({ target, message }) => {
  const loading = document.getElementById("loading");
  if (loading === null || loading.role) return; // GraphiQL is running, or the first error is shown
  const isScript = target instanceof HTMLScriptElement;
  if (!isScript && target !== window) return; // a style sheet or an icon: the page works without
  const cause = isScript ? `${new URL(target.src).pathname} did not arrive` : message;
  loading.textContent =
    `GraphiQL cannot start: ${cause}. Something between here and the gateway may have refused, changed or ` +
    "redirected it. The page docs/proxies.md of the gateway lists what a proxy must send.";
  loading.setAttribute("role", "alert");
}, true);
