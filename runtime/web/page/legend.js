// The classes: name, colour and share of the pictures that are shown. Pointing at one lights it in them; a click holds
// it.

import { byId, keyed, make, write } from "./dom.js";
import { percentText } from "./words.js";

export class Legend {
  #pointed = null;
  #held = null;

  /** `light(id)` is called with the class to light, or null. */
  constructor(light) {
    this.light = light;
    this.list = byId("class-list");
  }

  /** `shares` are those of the sources on the page, name -> fraction each: their mean is told. */
  tell(labels, shares) {
    const nodes = keyed(this.list, labels.map(({ id, name }) => `${id} ${name}`), (key) => this.#row(key));
    this.list.style.setProperty("--letters", Math.max(0, ...labels.map(({ name }) => name.length)));
    labels.forEach(({ id, name, rgb }, at) => {
      const known = shares.filter((one) => name in one).map((one) => one[name]);
      const share = known.length ? known.reduce((sum, one) => sum + one, 0) / known.length : undefined;
      const button = nodes[at].firstChild;
      button.style.setProperty("--colour", `rgb(${rgb.join(" ")})`);
      button.style.setProperty("--share", `${(100 * (share ?? 0)).toFixed(1)}%`);
      write(button.children[1], name);
      button.title = name;
      write(button.children[2], percentText(share));
      button.setAttribute("aria-pressed", this.#held === id);
    });
  }

  #row(key) {
    const id = Number.parseInt(key, 10);
    const button = make("button", { type: "button", class: "class", "aria-pressed": "false" });
    button.append(make("i", { class: "colour" }));
    button.append(make("span", { class: "class-name" }), make("span", { class: "share" }));
    button.addEventListener("pointerenter", ({ pointerType }) => pointerType === "mouse" && this.#point(id));
    button.addEventListener("pointerleave", () => this.#point(null));
    button.addEventListener("focus", () => button.matches(":focus-visible") && this.#point(id));
    button.addEventListener("blur", () => this.#point(null));
    button.addEventListener("click", () => this.hold(this.#held === id ? null : id));
    return make("li", {}, button);
  }

  #point(id) {
    this.#pointed = id;
    this.light(this.#pointed ?? this.#held);
  }

  /** Keep one class lit, or none. */
  hold(id) {
    this.#held = id;
    for (const item of this.list.children)
      item.firstChild.setAttribute("aria-pressed", Number.parseInt(item.dataset.key, 10) === id);
    this.light(this.#pointed ?? this.#held);
  }
}
