// Nodes and their text. What comes over the wire is only ever set as text, never as markup.

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text. */
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Set the text of a node, if it is another: an untouched node costs no layout. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
  return node;
}

export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

/**
 * The children of `parent`, one per key in the order of `keys`: made by `create(key)` where new, and kept while their
 * key stays, so that focus and hover do too.
 */
export function keyed(parent, keys, create) {
  const kept = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  const nodes = keys.map((key) => kept.get(key) ?? withKey(create(key), key));
  const same = nodes.length === parent.children.length && nodes.every((node, at) => node === parent.children[at]);
  if (!same) parent.replaceChildren(...nodes);
  return nodes;
}

function withKey(node, key) {
  node.dataset.key = key;
  return node;
}

/** A table's row of cells, the first its heading. */
export function row(cells) {
  const node = make("tr", {}, make("th", { scope: "row" }));
  for (let cell = 1; cell < cells; cell += 1) node.append(make("td"));
  return node;
}

/** Rows of text below `body`, keyed by their first cell or by `key`. */
export function fillRows(body, rows) {
  const nodes = keyed(body, rows.map(({ key }) => key), (key) => row(rows.find((one) => one.key === key).cells.length));
  rows.forEach(({ cells }, at) => cells.forEach((text, cell) => write(nodes[at].children[cell], text)));
  return nodes;
}

/** Pairs of a term and what it is, in a <dl> whose groups are <div>s. */
export function fillFacts(list, facts) {
  const nodes = keyed(list, facts.map(([label]) => label), () => make("div", {}, make("dt"), make("dd")));
  facts.forEach(([label, text], at) => {
    write(nodes[at].children[0], label);
    write(nodes[at].children[1], text);
  });
  return nodes;
}
