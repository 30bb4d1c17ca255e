"use strict";
// The page's other scripts come from the server, which may be restarting just then. Tried again a few times, later each time
// and not in step with others, for they all wait for the same server; then it is up to the reader. How often is kept for as
// long as the tab is open. Scripts of others, such as a browser's extension puts here, are none of our business.
(function () {
  const ours = new URL("ui/", document.baseURI).href, TRIES = 5;
  let failed = false;
  const say = (words) => { const boot = document.querySelector(".boot"); if (boot) boot.textContent = "Prism could not be loaded from the server. " + words; };
  const count = (n) => { try { if (n === undefined) return Number(sessionStorage.getItem("prism.loads")) || 0; sessionStorage.setItem("prism.loads", n); return n; } catch { return TRIES; /* not to be counted */ } };
  addEventListener("error", (e) => {
    if (failed || !e.target || e.target.tagName !== "SCRIPT" || !e.target.src.startsWith(ours)) return;
    failed = true;
    const n = count(), again = n < TRIES && count(n + 1) === n + 1;
    if (!again) count(0); // whoever loads it by hand begins anew
    setTimeout(() => say(again ? "It is tried again by itself." : "Load the page again to try once more."), 0);
    if (again) setTimeout(() => { if (!document.querySelector("dialog[open]")) location.reload(); }, 3000 * 2 ** n * (0.5 + Math.random()));
  }, true);
  addEventListener("load", () => { if (!failed && count() > 0) count(0); });
})();
// Before anything is painted: the theme that was chosen here. Without one the system's holds.
(function () {
  try {
    const theme = localStorage.getItem("prism.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch { /* storage may be forbidden: then the system's theme holds */ }
})();
