// What each stage of a frame's way took, over the last minute: stacked bars, one a second, and a table beside them that
// is their legend and tells the percentiles; pointing at a second shows its values there.

import { byId, fillRows, write } from "./dom.js";
import { NOTHING, countText, msText } from "./words.js";

const SECONDS = 60;
const LEAST_MS = 1; // of the scale
const BAR = 0.8; // of a second's width
const COLOURS = 10;

const isPart = (stage) => stage.includes("."); // "infer.h2d" is in "infer" already
const totalOf = (stages) => Object.entries(stages).reduce((sum, [stage, ms]) => (isPart(stage) ? sum : sum + ms), 0);

/** The next round number: a scale that seldom changes. */
export function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 6, 8, 10].map((step) => step * power).find((top) => top >= value);
}

export class Stages {
  #history = [];
  #names = []; // stages and their parts, in the order of a frame's way
  #spreads = {};
  #pointed = null; // ago_s of the second pointed at

  constructor() {
    this.plot = byId("stage-plot");
    this.box = byId("stage-chart");
    this.box.addEventListener("pointermove", (event) => this.#point(this.#agoAt(event.clientX)));
    this.box.addEventListener("pointerleave", () => this.#point(null));
    this.box.addEventListener("blur", () => this.#point(null));
    this.box.addEventListener("keydown", (event) => this.#move(event));
  }

  tell(status) {
    this.#history = status.history;
    this.#spreads = status.stages_ms;
    const known = new Set(Object.keys(status.stages_ms));
    for (const second of status.history) for (const stage of Object.keys(second.stages_ms)) known.add(stage);
    this.#names = [...known];
    this.#drawBars();
    this.#fillTable();
  }

  #drawBars() {
    const whole = this.#names.filter((stage) => !isPart(stage));
    const tops = this.#history.map(({ stages_ms, age_ms }) => Math.max(totalOf(stages_ms), age_ms ?? 0));
    const top = niceCeiling(Math.max(...tops, LEAST_MS));
    const paths = whole.map(() => "");
    for (const { ago_s, stages_ms } of this.#history) {
      const left = SECONDS - ago_s + (1 - BAR) / 2;
      let low = 0;
      whole.forEach((stage, at) => {
        const height = stages_ms[stage] ?? 0;
        if (!height) return;
        const [from, to] = [low, low + height].map((ms) => (100 * (1 - ms / top)).toFixed(2));
        paths[at] += `M${left.toFixed(2)} ${from}H${(left + BAR).toFixed(2)}V${to}H${left.toFixed(2)}Z`;
        low += height;
      });
    }
    this.#setPaths(paths, this.#ageLine(top));
    write(byId("stage-top"), `${countText(top)} ms`);
    write(byId("stage-middle"), countText(top / 2));
  }

  #ageLine(top) {
    let line = "";
    let last = null;
    for (const { ago_s, age_ms } of this.#history) {
      if (age_ms === null) continue;
      const joined = last !== null && last - ago_s === 1;
      line += `${joined ? "L" : "M"}${SECONDS - ago_s + 0.5} ${(100 * (1 - age_ms / top)).toFixed(2)}`;
      last = ago_s;
    }
    return line;
  }

  #setPaths(paths, age) {
    const nodes = [...this.plot.querySelectorAll(".bars")];
    while (nodes.length < paths.length) {
      const node = byId("stage-age").cloneNode();
      node.removeAttribute("id");
      node.setAttribute("class", `bars stage-${nodes.length % COLOURS}`);
      this.plot.insertBefore(node, byId("stage-age"));
      nodes.push(node);
    }
    nodes.forEach((node, at) => node.setAttribute("d", paths[at] ?? ""));
    byId("stage-age").setAttribute("d", age);
  }

  #agoAt(clientX) {
    const { left, width } = this.plot.getBoundingClientRect();
    return SECONDS - Math.min(SECONDS - 1, Math.max(0, Math.floor((SECONDS * (clientX - left)) / width)));
  }

  #move(event) {
    const step = { ArrowLeft: 1, ArrowRight: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    this.#point(Math.min(SECONDS, Math.max(1, (this.#pointed ?? 1) + step)));
  }

  #point(ago) {
    this.#pointed = ago;
    const cursor = byId("stage-cursor");
    cursor.setAttribute("x", ago === null ? -2 : SECONDS - ago);
    this.#fillTable();
  }

  #fillTable() {
    const ago = this.#pointed ?? this.#history.at(-1)?.ago_s;
    const second = this.#history.find(({ ago_s }) => ago_s === ago);
    write(byId("stage-when"), this.#pointed === null ? "now" : `−${this.#pointed} s`);
    const body = byId("stage-rows");
    let colour = 0;
    const rows = this.#names.map((stage) => {
      const { p50, p95, p99 } = this.#spreads[stage] ?? {};
      const name = isPart(stage) ? `· ${stage.split(".").pop()}` : stage;
      return { key: stage, cells: [name, ...[second?.stages_ms[stage], p50, p95, p99].map(msText)] };
    });
    fillRows(body, rows).forEach((node, at) => {
      node.firstChild.className = isPart(this.#names[at]) ? "part" : `swatch stage-${colour++ % COLOURS}`;
    });
    write(byId("stage-frames"), second ? countText(second.segmented) : NOTHING);
    write(byId("stage-dropped"), second ? countText(second.dropped) : NOTHING);
    write(byId("stage-age-value"), second ? `${msText(second.age_ms)} ms` : NOTHING);
  }
}
