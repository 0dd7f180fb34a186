// The picture of one source: the camera's frame on one canvas, the mask on another above it. Both have the sizes that
// came; the compositor scales and blends them. One frame at a time is decoded, and of those that wait the newest wins.

import { spotlit } from "./spotlight.js";

const nextPaint = () => new Promise((resolve) => requestAnimationFrame(resolve));
const decoded = (parts, type) => createImageBitmap(new Blob(parts, { type }), { colorSpaceConversion: "none" });

export class Picture {
  #waiting = null;
  #isDrawing = false;
  #png = null; // of the mask that is shown: one class of it may be lit later

  /** `shown(header)` is called when a frame has been drawn, `failed(error)` when one cannot be. */
  constructor(camera, mask, shown, failed) {
    this.camera = camera.getContext("2d", { alpha: false });
    this.mask = mask.getContext("2d");
    this.shown = shown;
    this.failed = failed;
    this.lit = null; // the id of the class in the spotlight
  }

  /** Draw this frame, unless a newer one comes before its turn. */
  offer(frame) {
    this.#waiting = frame;
    if (!this.#isDrawing) this.#drawAll();
  }

  /** Forget the frame that waits: what comes next is fresher. */
  skip() {
    this.#waiting = null;
  }

  /** Put one class in the spotlight, or none (null), in the mask that is shown and in all to come. */
  light(id) {
    if (id === this.lit) return;
    this.lit = id;
    if (!this.#isDrawing && this.#png) this.offer({ png: this.#png });
  }

  async #drawAll() {
    this.#isDrawing = true;
    while (this.#waiting) {
      const frame = this.#waiting;
      this.#waiting = null;
      try {
        await this.#draw(frame);
      } catch (error) {
        this.failed(error);
      }
    }
    this.#isDrawing = false;
  }

  async #draw({ header, jpeg, png }) {
    const lit = this.lit;
    const wanted = [decoded(lit === null ? [png] : spotlit(png, lit), "image/png")];
    if (jpeg) wanted.push(decoded([jpeg], "image/jpeg"));
    const outcomes = await Promise.allSettled(wanted); // all: a bitmap that nobody waits for would never be closed
    const bitmaps = outcomes.map(({ value }) => value);
    try {
      const bad = outcomes.find(({ status }) => status === "rejected");
      if (bad) throw bad.reason;
      await nextPaint();
      paint(this.mask, bitmaps[0]);
      if (jpeg) paint(this.camera, bitmaps[1]);
    } finally {
      for (const bitmap of bitmaps) bitmap?.close();
    }
    this.#png = png;
    if (header) this.shown(header);
    if (lit !== this.lit && !this.#waiting) this.#waiting = { png };
  }
}

function paint(context, bitmap) {
  const { canvas } = context;
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
  }
  context.globalCompositeOperation = "copy";
  context.drawImage(bitmap, 0, 0);
}
