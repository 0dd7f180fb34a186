// The keyboard. What is focused keeps its own keys: space presses a button, arrows move a slider.

import { byId } from "./dom.js";
import { change, look, nextView } from "./look.js";

const ALPHA_STEP = 0.05;
const TAKES_SPACE = "button, input, select, summary, a[href], [role=slider]";

/** `page` has choose(number), pause(), fullscreen() and theme(). */
export function startKeys(page) {
  const help = byId("help");
  const toggleHelp = () => (help.open ? help.close() : help.showModal());
  byId("help-button").addEventListener("click", toggleHelp);
  byId("help-close").addEventListener("click", () => help.close());

  const keys = {
    v: nextView,
    "+": () => change({ alpha: look.alpha + ALPHA_STEP }),
    "=": () => change({ alpha: look.alpha + ALPHA_STEP }), // plus without shift
    "-": () => change({ alpha: look.alpha - ALPHA_STEP }),
    l: () => change({ legend: !look.legend }),
    f: page.fullscreen,
    t: page.theme,
    " ": page.pause,
    "?": toggleHelp,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === " " && event.target.matches?.(TAKES_SPACE)) return;
    if (help.open && event.key !== "?") return;
    const act = /^[0-9]$/.test(event.key) ? () => page.choose(Number(event.key)) : keys[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
