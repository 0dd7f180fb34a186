// How the pictures are looked at: one choice for all sources, kept for the next visit. The browser draws it all by
// style alone (page.css reads these attributes and properties), so a paused picture follows as well.

import { byId, show } from "./dom.js";

export const VIEWS = ["overlay", "mask", "split"];
const KEY = "fcn-edge.look";

export const look = { view: "overlay", alpha: 0.5, split: 0.5, legend: true, ...remembered() };

function remembered() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    const within = (name) => typeof kept[name] === "number" && kept[name] >= 0 && kept[name] <= 1;
    return {
      ...(VIEWS.includes(kept.view) && { view: kept.view }),
      ...(within("alpha") && { alpha: kept.alpha }),
      ...(within("split") && { split: kept.split }),
      ...(typeof kept.legend === "boolean" && { legend: kept.legend }),
    };
  } catch {
    return {};
  }
}

/** Change some of it: `change({ view: "mask" })`. */
export function change(some) {
  Object.assign(look, some);
  look.alpha = Math.min(1, Math.max(0, look.alpha));
  look.split = Math.min(1, Math.max(0, look.split));
  draw();
  try {
    localStorage.setItem(KEY, JSON.stringify(look));
  } catch {
    // storage is forbidden here: it lasts as long as the page
  }
}

export function nextView() {
  change({ view: VIEWS[(VIEWS.indexOf(look.view) + 1) % VIEWS.length] });
}

function draw() {
  const stage = byId("stage");
  stage.dataset.view = look.view;
  stage.style.setProperty("--alpha", look.alpha);
  stage.style.setProperty("--split", `${100 * look.split}%`);
  byId(`view-${look.view}`).checked = true;
  byId("alpha").value = Math.round(100 * look.alpha);
  byId("alpha").disabled = look.view === "mask";
  byId("alpha-value").textContent = `${Math.round(100 * look.alpha)} %`;
  byId("legend-switch").setAttribute("aria-pressed", look.legend);
  show(byId("classes"), look.legend);
  for (const divider of stage.querySelectorAll(".divider"))
    divider.setAttribute("aria-valuenow", Math.round(100 * look.split));
}

/** Bind the controls and draw what is chosen. */
export function startLook() {
  for (const view of VIEWS) byId(`view-${view}`).addEventListener("change", () => change({ view }));
  byId("alpha").addEventListener("input", ({ target }) => change({ alpha: target.valueAsNumber / 100 }));
  byId("legend-switch").addEventListener("click", () => change({ legend: !look.legend }));
  draw();
}
