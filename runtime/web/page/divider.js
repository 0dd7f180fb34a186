// The line between camera and mask in the split view: dragged, or moved with the arrow keys.

import { make } from "./dom.js";
import { change, look } from "./look.js";

const STEPS = { ArrowLeft: -0.02, ArrowRight: 0.02, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 };

/** The line of the picture in `frame`. */
export function divider(frame) {
  const node = make("div", {
    class: "divider",
    role: "slider",
    tabindex: "0",
    "aria-label": "Where the mask begins, percent from the left",
    "aria-valuemin": "0",
    "aria-valuemax": "100",
    "aria-valuenow": String(Math.round(100 * look.split)),
  });
  node.addEventListener("pointerdown", (event) => {
    node.setPointerCapture(event.pointerId);
    event.preventDefault();
    node.focus();
  });
  node.addEventListener("pointermove", (event) => {
    if (!node.hasPointerCapture(event.pointerId)) return;
    const { left, width } = frame.getBoundingClientRect();
    change({ split: (event.clientX - left) / width });
  });
  node.addEventListener("keydown", (event) => {
    if (!(event.key in STEPS)) return;
    event.preventDefault();
    change({ split: look.split + STEPS[event.key] });
  });
  return node;
}
