// The state of the whole in one line: the stream's as it tells it, or that nobody tells anything; with the cure.

import { byId, keyed, make, show, write } from "./dom.js";
import { durationText, reasonText, sentence } from "./words.js";

const CALM = {
  STARTING: "Waiting for the first frame.",
  RUNNING: "All is well.",
  DEGRADED: "Something is wrong, and not yet told what.",
  STOPPING: "The stream is ending.",
};

/** `links` are all that should be open; `status` the last one heard, or null. */
export function tellHeadline(status, links) {
  const lost = links.filter((link) => link.lostAt !== null);
  const isLost = lost.length > 0 && links.every((link) => !link.isOpen);
  if (isLost) tell("OFFLINE", "", [lostText(lost[0])]);
  else if (!status) tell("CONNECTING", "", [["Connecting to the server …", ""]]);
  else tellStatus(status);
  document.body.dataset.offline = isLost;
}

function tellStatus({ state, since_s, reasons }) {
  const told = new Map(reasons.map((reason) => [reasonText(reason), [sentence(reason.text), sentence(reason.cure)]]));
  tell(state, durationText(since_s), told.size ? [...told.values()] : [[CALM[state] ?? "", ""]]);
}

/** What is known of a lost connection to the server, and when it is tried again. */
function lostText(link) {
  const now = performance.now();
  const since = durationText((now - link.lostAt) / 1000);
  const left = Math.ceil(Math.max(0, link.nextTryAt - now) / 1000);
  const next = link.nextTryAt === null ? "Trying now." : `Next try in ${durationText(left)}.`;
  return [`No connection to the server for ${since}.`, [link.why, next].filter(Boolean).join(" ")];
}

/** `lines` are pairs: what is so, and what to do. */
function tell(state, since, lines) {
  const chip = byId("state");
  if (chip.dataset.state !== state) {
    chip.dataset.state = state;
    write(byId("announce"), `${state}. ${lines.flat().join(" ")}`); // once a change: seconds that pass are not news
    document.title = `${state} · fcn-edge`;
  }
  write(byId("state-name"), state);
  write(byId("since"), since);
  show(byId("since"), since !== "");
  const keys = lines.map((_, at) => String(at));
  const nodes = keyed(byId("reasons"), keys, () => make("li", {}, make("span"), " ", make("strong")));
  lines.forEach(([found, cure], at) => {
    write(nodes[at].firstChild, found);
    write(nodes[at].lastChild, cure);
  });
}
