// One class of a mask in full light, the others nearly transparent: a chunk more in the palette PNG, and the browser's
// decoder does the rest. No pixel is touched here, and classes of the same colour stay apart.
// (PNG specification: 5.3 chunk layout, 11.3.2.1 tRNS, annex D for the CRC.)

const SIGNATURE_BYTES = 8;
const AROUND_BYTES = 12; // of a chunk: its length, name and CRC
const DIM = 26; // of 255: what is left of the other classes

const crcs = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
  return crc;
});

/** The parts of a PNG file in which all classes but `lit` are dim; `png` as it is where it has no palette. */
export function spotlit(png, lit) {
  const palette = findChunk(png, "PLTE");
  if (!palette) return [png];
  const alphas = new Uint8Array(palette.length / 3).fill(DIM);
  if (lit < alphas.length) alphas[lit] = 255;
  const end = palette.at + AROUND_BYTES + palette.length;
  return [png.subarray(0, end), chunk("tRNS", alphas), png.subarray(end)];
}

function findChunk(png, name) {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  for (let at = SIGNATURE_BYTES; at + AROUND_BYTES <= png.length; ) {
    const length = view.getUint32(at);
    if (String.fromCharCode(...png.subarray(at + 4, at + 8)) === name) return { at, length };
    at += AROUND_BYTES + length;
  }
  return null;
}

function chunk(name, content) {
  const bytes = new Uint8Array(AROUND_BYTES + content.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  bytes.set(Uint8Array.from(name, (letter) => letter.charCodeAt(0)), 4);
  bytes.set(content, 8);
  view.setUint32(8 + content.length, crcOf(bytes.subarray(4, 8 + content.length)));
  return bytes;
}

function crcOf(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = crcs[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
