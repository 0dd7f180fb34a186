// One source on the page: its picture, its name and figures, and what is wrong with it.

import { divider } from "./divider.js";
import { make, show, write } from "./dom.js";
import { Picture } from "./picture.js";
import { durationText, msText, rateText, reasonText, sentence, withFullStop } from "./words.js";

const PATIENCE_S = 5; // without a picture, though the source is said to be well
const UNSEGMENTED = "The camera sends, and its frames are not segmented.";

export class Tile {
  #shown = 0; // frames since `#countedAt`
  #countedAt = performance.now();
  #rate = null;
  #shownAt = null; // performance.now() of the last
  #age = null;
  #broken = false;

  constructor(name, number, onShown) {
    this.name = name;
    this.camera = make("canvas", { id: `camera-${number}`, class: "camera", width: "16", height: "9" });
    this.mask = make("canvas", { id: `mask-${number}`, class: "mask", width: "16", height: "9" });
    this.banner = make("p", { class: "banner", hidden: "" });
    this.paused = make("p", { class: "paused", hidden: "" }, "Paused");
    this.state = make("span", { class: "pill" });
    this.figures = make("span", { class: "figures" });
    this.picture = new Picture(this.camera, this.mask, (header) => this.#drawn(header, onShown), () => this.#failed());
    const frame = make("div", { class: "frame", role: "img", "aria-label": `Live picture of ${name}` });
    frame.append(this.camera, this.mask);
    this.frame = make("div", { class: "screen" }, frame);
    this.frame.append(divider(frame), this.banner, this.paused);
    const caption = make("figcaption", {}, make("b", { class: "name" }, name), this.state, this.figures);
    this.node = make("figure", { class: "tile", "data-empty": "true" }, this.frame, caption);
  }

  #drawn(header, onShown) {
    const [height, width] = header.size_hw;
    this.node.style.setProperty("--ratio", (width / height).toFixed(5));
    this.#shown += 1;
    this.#shownAt = performance.now();
    this.#age = header.age_ms;
    this.#broken = false;
    this.node.dataset.empty = false;
    const shownAt = performance.timeOrigin + this.#shownAt;
    onShown({ ...header, canvas: this.camera.id, maskCanvas: this.mask.id, shownAt });
  }

  #failed() {
    this.#broken = true;
  }

  /** Once a second: `source` is its status or undefined, `link` its connection. */
  tell(source, status, link, isPaused) {
    const problem = this.#problem(source, status, link, isPaused);
    write(this.banner, problem);
    show(this.banner, problem !== "");
    show(this.paused, isPaused);
    const isLost = problem !== "" && !this.#isCalm(source);
    this.banner.dataset.calm = !isLost;
    this.node.dataset.lost = isLost;
    const state = link.isOpen ? (source?.state ?? "") : "";
    write(this.state, state === "STREAMING" ? "" : state);
    this.state.dataset.state = state;
    this.#count();
    const isLive = this.#shownAt !== null && !problem;
    write(this.figures, isLive ? `${rateText(this.#rate)} fps shown · ${msText(this.#age)} ms` : "");
  }

  #count() {
    const seconds = (performance.now() - this.#countedAt) / 1000;
    if (seconds < 0.9) return;
    this.#rate = this.#shown / seconds;
    this.#shown = 0;
    this.#countedAt = performance.now();
  }

  #problem(source, status, link, isPaused) {
    if (!link.isOpen) return this.#shownAt === null ? "" : "The picture has stopped: no connection to the server.";
    if (!source) return status ? "This source is no longer in the stream." : "";
    const reason = reasonText(source.reason);
    const why = source.reason ? `: ${[withFullStop(source.reason.text), sentence(source.reason.cure)].join(" ")}` : ".";
    const silent = durationText(this.#silentS(source, status));
    switch (source.state) {
      case "ENDED":
        return source.reason ? `Ended. ${reason}` : "Ended: everything was shown.";
      case "CONNECTING":
        if (this.#isCalm(source)) return `Connecting to ${source.uri} …`;
      // falls through: it was there before, or something is known to be wrong
      case "STALLED":
      case "BACKOFF":
        return `No signal for ${silent}${why}`;
    }
    if (this.#broken) return "This browser cannot show the pictures that come. Try another one.";
    if (isPaused || this.#silentS(source, status) < Math.max(PATIENCE_S, 3 / (source.rate || 1))) return "";
    return `No picture for ${silent}. ${reasonText(status.reasons[0]) || UNSEGMENTED}`;
  }

  /** It has ended, or has not begun: nothing to worry about. */
  #isCalm(source) {
    return source?.state === "ENDED" || (source?.state === "CONNECTING" && this.#shownAt === null && !source.reason);
  }

  /** How long no picture came, at least: the most of what this page and the stream know. */
  #silentS(source, status) {
    const seen = this.#shownAt === null ? 0 : (performance.now() - this.#shownAt) / 1000;
    const stalled = source.state === "STREAMING" ? 0 : source.since_s;
    const never = source.connects === 0 ? status.uptime_s : 0; // its state is a new one with every try
    return Math.max(seen, stalled, never, status.last_frame_s ?? 0);
  }
}
