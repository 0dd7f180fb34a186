// The figures of the stream: rates, ages, and what became of the frames that were not segmented.

import { byId, fillRows, show, write } from "./dom.js";
import { NOTHING, countText, msText, rateText } from "./words.js";

const WINDOW_S = 10;
const CAUSES = {
  overwritten: "a newer frame came first",
  stale: "too old when its turn came",
  rate: "more than the wished rate",
  model: "the model failed on it",
};

const past = []; // {uptime_s, totals} of the last ten seconds

export function tellFigures(status) {
  write(byId("fps-in"), rateText(status.received_fps));
  write(byId("fps-out"), rateText(status.segmented_fps));
  write(byId("age-p95"), msText(status.age_at_mask_ms.p95));
  tellAges("mask", status.age_at_mask_ms);
  tellAges("wire", status.age_at_wire_ms);
  tellLosses(status);
}

function tellAges(where, spread) {
  for (const key of ["p50", "p95", "p99"]) write(byId(`${where}-${key}`), msText(spread[key]));
  write(byId(`${where}-n`), countText(spread.n));
}

function tellLosses(status) {
  const totals = lossesOf(status.sources);
  const before = remember(status.uptime_s, totals);
  const seconds = status.uptime_s - before.uptime_s;
  const rate = (key) => (seconds > 0 ? (totals.get(key) - (before.totals.get(key) ?? 0)) / seconds : undefined);
  const keys = [...totals.keys()];
  const sum = keys.reduce((all, key) => all + (rate(key) ?? 0), 0);
  write(byId("drops-s"), seconds > 0 ? rateText(sum) : NOTHING);
  const rows = keys.map((key) => ({ key, cells: [key, rateText(rate(key)), countText(totals.get(key))] }));
  fillRows(byId("loss-rows"), rows);
  for (const node of byId("loss-rows").children) node.title = CAUSES[node.dataset.key] ?? "";
  show(byId("no-losses"), keys.length === 0);
  show(byId("losses"), keys.length > 0);
}

/** cause -> frames, of all sources. */
function lossesOf(sources) {
  const totals = new Map();
  const add = (name, count) => totals.set(name, (totals.get(name) ?? 0) + count);
  for (const { counts } of sources) {
    for (const [cause, count] of Object.entries(counts.dropped)) add(cause, count);
    for (const [why, count] of Object.entries(counts.bad)) add(`bad: ${why}`, count);
  }
  return totals;
}

/** The totals of ten seconds ago, or the oldest known. */
function remember(uptime_s, totals) {
  if (past.length && past.at(-1).uptime_s > uptime_s) past.length = 0; // another process
  past.push({ uptime_s, totals });
  while (past.length > 2 && uptime_s - past[0].uptime_s > WINDOW_S) past.shift();
  return past[0];
}
