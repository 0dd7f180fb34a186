// The theme that was chosen here before, set before anything is painted. No module: those run after that.
"use strict";
try {
  const chosen = localStorage.getItem("fcn-edge.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // storage is forbidden here: the system's theme it is
}
