"use strict";
// Before anything is painted: the theme that was chosen here. Without one the system's holds.
(function () {
  try {
    const theme = localStorage.getItem("prism.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch { /* storage may be forbidden: then the system's theme holds */ }
})();
