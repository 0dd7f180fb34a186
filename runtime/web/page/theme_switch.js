// Light, dark, or as the system has it.

import { byId, write } from "./dom.js";

const THEMES = ["auto", "light", "dark"];
const KEY = "fcn-edge.theme";

const current = () => document.documentElement.dataset.theme ?? "auto";

export function nextTheme() {
  const theme = THEMES[(THEMES.indexOf(current()) + 1) % THEMES.length];
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // storage is forbidden here: it lasts as long as the page
  }
  draw();
}

function draw() {
  write(byId("theme-name"), current());
  byId("theme-button").setAttribute("aria-label", `Theme: ${current()}`);
}

export function startTheme() {
  byId("theme-button").addEventListener("click", nextTheme);
  draw();
}
