// How figures are written. Text only: nothing here touches the page.

export const NOTHING = "–";
const GAP = "\u00a0"; // keeps a number and its unit on one line
const counts = new Intl.NumberFormat("en-GB");

const known = (value) => typeof value === "number" && Number.isFinite(value);

export const countText = (value) => (known(value) ? counts.format(value) : NOTHING);
export const rateText = (value) => (known(value) ? value.toFixed(1) : NOTHING);
export const percentText = (fraction) => (known(fraction) ? `${(100 * fraction).toFixed(1)}${GAP}%` : NOTHING);

/** Milliseconds, of which nobody needs more than three or four digits. */
export function msText(value) {
  if (!known(value)) return NOTHING;
  if (value >= 100) return counts.format(Math.round(value));
  return value.toFixed(value < 10 ? 2 : 1);
}

/** "12 s", "3 min", "2 h 05 min", "4 d 3 h". */
export function durationText(seconds) {
  if (!known(seconds)) return NOTHING;
  const s = Math.floor(seconds);
  if (s < 60) return `${s}${GAP}s`;
  if (s < 3600) return `${Math.floor(s / 60)}${GAP}min`;
  const minutes = String(Math.floor((s % 3600) / 60)).padStart(2, "0");
  if (s < 86400) return `${Math.floor(s / 3600)}${GAP}h${GAP}${minutes}${GAP}min`;
  return `${Math.floor(s / 86400)}${GAP}d${GAP}${Math.floor((s % 86400) / 3600)}${GAP}h`;
}

export function bytesText(value) {
  if (!known(value)) return NOTHING;
  const power = Math.min(4, Math.max(0, Math.floor(Math.log10(Math.max(value, 1)) / 3)));
  return `${(value / 1000 ** power).toFixed(power ? 1 : 0)}${GAP}${["B", "kB", "MB", "GB", "TB"][power]}`;
}

/** Height by width, as everywhere in fcn-edge. */
export const sizeText = (sizeHw) => (Array.isArray(sizeHw) ? `${sizeHw[0]}${GAP}×${GAP}${sizeHw[1]}` : NOTHING);

/** A reason and its cure as sentences. */
export function reasonText(reason) {
  return reason ? [reason.text, reason.cure].filter(Boolean).map(sentence).join(" ") : "";
}

/** With its capital, unless a name stands in front ("north: ..."), and its full stop. */
export function sentence(words) {
  const text = String(words).trim();
  return withFullStop(/^\S+:/.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1));
}

export function withFullStop(words) {
  const text = String(words).trim();
  return !text || /[.!?]$/.test(text) ? text : `${text}.`;
}

const UNITS = [
  [/_bytes$/, bytesText],
  [/_s$/, durationText],
  [/_ms$/, (value) => `${msText(value)}${GAP}ms`],
  [/_mhz$/, (value) => `${countText(Math.round(value))}${GAP}MHz`],
  [/_ghz$/, (value) => `${value.toFixed(2)}${GAP}GHz`],
  [/_hz$/, (value) => `${countText(Math.round(value / 1e6))}${GAP}MHz`],
  [/_c$/, (value) => `${value.toFixed(0)}${GAP}°C`],
  [/_w$/, (value) => `${value.toFixed(1)}${GAP}W`],
  [/_percent$/, (value) => `${value.toFixed(0)}${GAP}%`],
];

/** A name and a value whose unit is in the name: ["free", "12.4 GB"] of free_bytes. */
export function factTexts(name, value) {
  if (name === "size_hw") return ["size", sizeText(value)];
  const [ending, written] = UNITS.find(([pattern]) => pattern.test(name)) ?? [/$^/, undefined];
  const label = name.replace(ending, "").replaceAll("_", " ");
  return [label, valueText(value, written)];
}

function valueText(value, written) {
  if (value === null || value === undefined || value === "") return NOTHING;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (known(value)) return written ? written(value) : counts.format(value);
  if (Array.isArray(value)) return value.length ? value.map((item) => valueText(item, written)).join(", ") : "none";
  if (typeof value === "object") {
    const parts = Object.entries(value).map(([part, inner]) => {
      const [label, text] = written ? [part.replaceAll("_", " "), valueText(inner, written)] : factTexts(part, inner);
      return `${label}${GAP}${text}`;
    });
    return parts.length ? parts.join(" · ") : "none";
  }
  return String(value);
}
