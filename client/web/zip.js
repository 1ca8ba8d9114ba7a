/** A zip archive without compression: audio hardly shrinks, and several files come as one download. */

const CHUNK = 1 << 20;
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte;
});

async function crc32(blob) {
  let crc = ~0;
  for (let at = 0; at < blob.size; at += CHUNK) {
    const bytes = new Uint8Array(await blob.slice(at, at + CHUNK).arrayBuffer());
    for (let i = 0; i < bytes.length; i++) crc = TABLE[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

/** Write little-endian fields: `[size in bytes, value]` each. */
function fields(...list) {
  const view = new DataView(new ArrayBuffer(list.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of list) {
    if (size === 4) view.setUint32(at, value, true);
    else view.setUint16(at, value, true);
    at += size;
  }
  return view.buffer;
}

function dosTime(now) {
  const time = (now.getHours() << 11) | (now.getMinutes() << 5) | (now.getSeconds() >> 1);
  return (((now.getFullYear() - 1980) << 25) | ((now.getMonth() + 1) << 21) | (now.getDate() << 16) | time) >>> 0;
}

/**
 * Put files into one archive of less than 4 GB.
 *
 * @param {[string, Blob][]} files names and contents
 * @returns {Promise<Blob>}
 */
export async function zip(files) {
  const [parts, directory] = [[], []];
  let at = 0;
  for (const [name, blob] of files) {
    const label = new TextEncoder().encode(name);
    // Version 2.0, no flags, stored; time; checksum; both sizes; length of the name; no extra field.
    const facts = [[2, 20], [2, 0], [2, 0], [4, dosTime(new Date())], [4, await crc32(blob)], [4, blob.size], [4, blob.size], [2, label.length], [2, 0]];
    parts.push(fields([4, 0x04034b50], ...facts), label, blob);
    directory.push(fields([4, 0x02014b50], [2, 20], ...facts, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]), label);
    at += 30 + label.length + blob.size;
  }
  const listed = new Blob(directory).size;
  const end = fields([4, 0x06054b50], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, listed], [4, at], [2, 0]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}
