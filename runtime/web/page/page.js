// The page: which sources are shown, over which connections, and who is told what the stream tells.

import { byId, keyed, make, show } from "./dom.js";
import { tellFigures } from "./figures.js";
import { tellHeadline } from "./headline.js";
import { startKeys } from "./keys.js";
import { Legend } from "./legend.js";
import { Link, askState, waitMs } from "./link.js";
import { startLook } from "./look.js";
import { tellParts } from "./parts.js";
import { Stages } from "./stages.js";
import { nextTheme, startTheme } from "./theme_switch.js";
import { Tile } from "./tile.js";

const MOST_TOGETHER = 4; // sources that are shown side by side unless one is chosen
const ALL = 0;
const SAME_S = 0.5; // statuses come once a second

const tiles = new Map(); // source name -> {tile, link}
const doors = { lostAt: null, nextTryAt: null, why: "", isOpen: false }; // stands for the links before there are any
let status = null;
let chosen = null; // number of a source, from 1, or ALL
let isPaused = false;

// For tests and benchmarks: what was drawn last, and where.
window.fcnEdge = { lastShown: null };

const stages = new Stages();
const legend = new Legend(light);

const isShown = (number) => chosen === ALL || chosen === number;
const names = () => status.sources.map(({ name }) => name);

function hear(told) {
  if (isKnown(told)) return;
  status = told;
  ensureTiles();
  tellFigures(status);
  stages.tell(status);
  tellParts(status);
  const seen = status.sources.filter((_, at) => isShown(at + 1)).map(({ class_shares }) => class_shares);
  legend.tell(status.model.labels ?? [], seen);
  tellStates();
}

/** Every connection brings the same news. */
function isKnown(told) {
  return status?.state === told.state && Math.abs(told.uptime_s - status.uptime_s) < SAME_S;
}

/** A tile and a connection for every source; those of sources that left are taken away. */
function ensureTiles() {
  const wanted = names();
  if (wanted.length === tiles.size && wanted.every((name) => tiles.has(name))) return;
  for (const [name, { link }] of tiles) {
    if (wanted.includes(name)) continue;
    link.close();
    tiles.delete(name);
  }
  wanted.forEach((name, at) => tiles.has(name) || tiles.set(name, newTile(name, at + 1)));
  chosen = wanted.length > 1 && wanted.length <= MOST_TOGETHER ? ALL : 1;
  arrange();
}

function newTile(name, number) {
  const tile = new Tile(name, number, (shown) => (window.fcnEdge.lastShown = { ...shown, source: name }));
  const link = new Link(name, {
    frame: (frame) => isPaused || tile.picture.offer(frame),
    status: hear,
    changed: tellStates,
  });
  return { tile, link };
}

/** Put a class in the spotlight of all pictures, or none (null). */
function light(id) {
  byId("stage").dataset.lit = id !== null;
  for (const { tile } of tiles.values()) tile.picture.light(id);
}

/** Show what is chosen, and keep connections for that alone. */
function arrange() {
  const wanted = names();
  const seen = wanted.filter((_, at) => isShown(at + 1));
  keyed(byId("stage"), seen, (name) => tiles.get(name).tile.node);
  byId("stage").dataset.count = String(Math.min(seen.length, 9));
  for (const [name, { link, tile }] of tiles) {
    if (seen.includes(name) && !document.hidden) {
      link.open();
    } else {
      link.close();
      tile.picture.skip();
    }
  }
  drawTabs(wanted);
}

function drawTabs(wanted) {
  show(byId("sources-bar"), wanted.length > 1);
  if (wanted.length < 2) return;
  const labels = ["All", ...wanted];
  const nodes = keyed(byId("sources-bar"), labels.map((label, at) => `${at} ${label}`), (key) => {
    const number = Number.parseInt(key, 10);
    const button = make("button", { type: "button", class: "tab" }, labels[number]);
    button.addEventListener("click", () => choose(number));
    return button;
  });
  nodes.forEach((node, number) => node.setAttribute("aria-pressed", number === chosen));
}

function choose(number) {
  if (!status || number > status.sources.length || (number === ALL && status.sources.length < 2)) return;
  chosen = number;
  arrange();
  tellStates();
}

function pause() {
  isPaused = !isPaused;
  byId("pause-button").setAttribute("aria-pressed", isPaused);
  tiles.forEach(({ tile }) => tile.picture.skip());
  tellStates();
}

function fullscreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.().catch(() => {}); // refused: the page stays as it is
}

/** What follows from time alone, too: for how long nothing came. */
function tellStates() {
  const open = [...tiles.values()].filter(({ tile }) => tile.node.isConnected);
  tellHeadline(status, open.length ? open.map(({ link }) => link) : [doors]);
  for (const { tile, link } of open)
    tile.tell(status?.sources.find(({ name }) => name === tile.name), status, link, isPaused);
}

function everySecond() {
  if (document.hidden) return;
  tiles.forEach(({ link }) => link.check());
  tellStates();
}

/** The first word from the server tells which sources there are. Asked until it comes. */
async function knock() {
  for (let failures = 0; !status; failures += 1) {
    doors.nextTryAt = null;
    const { status: told, why } = await askState();
    if (told) return hear(told);
    doors.why = why;
    doors.lostAt ??= performance.now();
    const wait = waitMs(failures);
    doors.nextTryAt = performance.now() + wait;
    tellStates();
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

startTheme();
startLook();
startKeys({ choose, pause, fullscreen, theme: nextTheme });
byId("pause-button").addEventListener("click", pause);
byId("full-button").addEventListener("click", fullscreen);
show(byId("full-button"), document.fullscreenEnabled);
document.addEventListener("visibilitychange", () => status && (arrange(), tellStates()));
window.addEventListener("online", () => tiles.forEach(({ link }) => link.hurry()));
setInterval(everySecond, 1000);
tellStates();
knock();
