// One binary message of /live: four bytes of length (little-endian), a JSON header, a JPEG and a palette PNG.

const text = new TextDecoder("utf-8", { fatal: true });

/** {header, jpeg, png}; the pictures are views of `buffer`. Throws where the message is not what the header says. */
export function frameFrom(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(text.decode(new Uint8Array(buffer, 4, length)));
  const jpegAt = 4 + length;
  const pngAt = jpegAt + header.jpeg_bytes;
  if (pngAt + header.png_bytes !== buffer.byteLength) throw new RangeError("a frame's pictures have not the told size");
  return {
    header,
    jpeg: new Uint8Array(buffer, jpegAt, header.jpeg_bytes),
    png: new Uint8Array(buffer, pngAt, header.png_bytes),
  };
}
