// The WebSocket of one source: opened again for ever, slower and slower, and never left hanging.

import { frameFrom } from "./wire.js";

const FIRST_WAIT_MS = 500;
const MOST_WAIT_MS = 10_000;
const QUIET_MS = 5_000; // a status comes every second: after this long without a word the other end is gone
const PROBE_MS = 3_000;

/** How long to wait before try `failures`, with jitter, so that many pages do not come back at once. */
export function waitMs(failures) {
  const most = Math.min(MOST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures, 10));
  return most * (0.75 + 0.25 * Math.random());
}

/** What the server tells over HTTP: {status, why}. A WebSocket that fails keeps the reason to itself. */
export async function askState() {
  try {
    const answer = await fetch("state", { cache: "no-store", signal: AbortSignal.timeout(PROBE_MS) });
    if (answer.status === 401 || answer.status === 403)
      return refusal("The server asks for its token. Open the address that fcn-edge printed when it started.");
    if (!answer.ok) return refusal(`The server answers ${answer.status} ${answer.statusText}`.trim() + ".");
    return { status: await answer.json(), why: "The server is there but takes no more viewers. Close another page." };
  } catch {
    return refusal("Nobody answers. Is fcn-edge running, and is the network up?");
  }
}

const refusal = (why) => ({ status: null, why });

export class Link {
  #socket = null;
  #timer = 0;
  #heardAt = 0;
  #failures = 0;

  /** `told` has frame(frame), status(status) and changed(). */
  constructor(source, told) {
    this.source = source;
    this.told = told;
    this.isOpen = false;
    this.lostAt = null; // performance.now() when it was lost; null while all is well or nothing was tried
    this.nextTryAt = null;
    this.why = "";
  }

  open() {
    if (this.#socket || this.#timer) return;
    this.#connect();
  }

  close() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#drop();
    this.#failures = 0;
    this.lostAt = this.nextTryAt = null;
    this.why = "";
  }

  /** To be called every second: ends a connection that has gone quiet. */
  check() {
    if (this.#socket && performance.now() - this.#heardAt > QUIET_MS) this.#failed("The server has gone quiet.");
  }

  /** Try now instead of later: the network is said to be back. */
  hurry() {
    if (!this.#timer) return;
    clearTimeout(this.#timer);
    this.#connect();
  }

  #connect() {
    this.#timer = 0;
    this.nextTryAt = null;
    this.#heardAt = performance.now();
    const url = new URL(`live?source=${encodeURIComponent(this.source)}`, document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onclose = ({ reason }) => this.#failed(reason);
  }

  #hear(data) {
    this.#heardAt = performance.now();
    this.#failures = 0; // a word, not a mere opening: who accepts and hangs up is not well
    if (!this.isOpen) {
      this.isOpen = true;
      this.lostAt = null;
      this.why = "";
      this.told.changed();
    }
    try {
      if (typeof data === "string") this.told.status(JSON.parse(data));
      else this.told.frame(frameFrom(data));
    } catch (error) {
      console.error(error);
      this.#failed("The server speaks another language than this page. Reload it.");
    }
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    this.isOpen = false;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #failed(why) {
    const wasOpen = this.isOpen;
    this.#drop();
    this.lostAt ??= performance.now();
    if (why) this.why = why;
    const wait = waitMs(this.#failures++);
    this.nextTryAt = performance.now() + wait;
    this.#timer = setTimeout(() => this.#connect(), wait);
    this.told.changed();
    if (!why && !wasOpen) this.#ask();
  }

  async #ask() {
    const { status, why } = await askState();
    if (this.lostAt === null) return; // closed or open by now
    this.why = why;
    if (status) this.told.status(status); // it may have other sources than before
    this.told.changed();
  }
}
