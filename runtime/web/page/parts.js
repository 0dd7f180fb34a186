// The parts of the stream: sources and their counters, sinks and what they have to tell, the model, the machine.

import { byId, fillFacts, keyed, make, row, show, write } from "./dom.js";
import { countText, durationText, factTexts, rateText, reasonText, sizeText } from "./words.js";

const COUNTERS = ["name", "state", "size", "fps", "received", "segmented", "dropped", "bad", "in flight", "connects"];

const sumOf = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0);

export function tellParts(status) {
  tellSources(status.sources);
  tellSinks(status.sinks);
  tellFacts("model", modelFacts(status));
  tellFacts("machine", machineFacts(status.machine));
  byId("machine").dataset.throttled = status.reasons.some(({ code }) => code === "THROTTLED");
}

function tellSources(sources) {
  const nodes = keyed(byId("source-rows"), sources.map(({ name }) => name), () => row(COUNTERS.length));
  sources.forEach((source, at) => {
    const { counts } = source;
    const cells = [
      source.name,
      source.state,
      sizeText(source.size_hw),
      rateText(source.rate),
      countText(counts.received),
      countText(counts.segmented),
      countText(sumOf(counts.dropped)),
      countText(sumOf(counts.bad)),
      countText(counts.in_flight),
      countText(source.connects),
    ];
    cells.forEach((text, cell) => {
      write(nodes[at].children[cell], text);
      nodes[at].children[cell].dataset.label = COUNTERS[cell];
    });
    nodes[at].children[1].dataset.state = source.state;
    nodes[at].title = `${source.uri} · ${source.state} for ${durationText(source.since_s)}`;
  });
}

function tellSinks(sinks) {
  show(byId("sinks"), sinks.length > 0);
  const nodes = keyed(byId("sink-list"), sinks.map(({ name }, at) => `${at} ${name}`), sinkNode);
  sinks.forEach((sink, at) => {
    const [head, reason, counts, facts] = nodes[at].children;
    write(head.children[0], sink.name);
    write(head.children[1], sink.state);
    head.children[1].dataset.state = sink.state;
    write(reason, reasonText(sink.reason));
    show(reason, Boolean(sink.reason));
    const waiting = sink.waiting ? ` · ${countText(sink.waiting)} waiting` : "";
    write(counts, `${countText(sink.written)} written · ${countText(sink.dropped)} dropped${waiting}`);
    fillFacts(facts, Object.entries(sink.facts).map(([name, value]) => factTexts(name, value)));
  });
}

function sinkNode() {
  const head = make("p", { class: "sink-head" }, make("b"), make("span", { class: "pill" }));
  return make("li", {}, head, make("p", { class: "cure", hidden: "" }), make("p", { class: "muted" }), make("dl"));
}

function modelFacts({ model, uptime_s }) {
  const facts = Object.entries(model).filter(([name, value]) => name !== "labels" && value !== null);
  return [...facts.map(([name, value]) => factTexts(name, value)), ["running for", durationText(uptime_s)]];
}

function machineFacts({ clocks = {}, ago_s: _, ...others }) {
  const rates = Object.entries(clocks).map(([name, clock]) => [`${name} clock`, clockText(clock)]);
  return [...rates, ...Object.entries(others).map(([name, value]) => factTexts(name, value))];
}

/** "918 of 1,020 MHz · 43 % busy" */
function clockText({ mhz, max_mhz, busy }) {
  const rate = [countText(mhz), max_mhz ? `of ${countText(max_mhz)}` : "", "MHz"].filter(Boolean).join(" ");
  return typeof busy === "number" ? `${rate} · ${Math.round(100 * busy)} % busy` : rate;
}

function tellFacts(id, facts) {
  show(byId(id), facts.length > 0);
  fillFacts(byId(`${id}-facts`), facts);
}
