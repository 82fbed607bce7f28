// Where a saved file goes: to the place that the user chooses, if the browser can write there, else to a download.

import { saveFile } from "./csv.js";

const MEDIA_TYPES = { csv: "text/csv;charset=utf-8", ndjson: "application/x-ndjson" };
// Browsers may keep a Blob outside the memory of the page, so the parts become one from this size on.
const BLOB_BYTES = 8_000_000;

/**
 * Returns an object with the methods `write`, `finish` and `discard`, or null if the user wants no file after all. What
 * is discarded leaves no file behind.
 */
export async function openSink(name, format) {
  if (!window.showSaveFilePicker) return downloadSink(name, format);
  let handle;
  try {
    const types = [{ accept: { [MEDIA_TYPES[format].split(";")[0]]: [`.${format}`] } }];
    handle = await window.showSaveFilePicker({ suggestedName: name, types });
  } catch (error) {
    // Some browsers refuse this function, for example in a private window.
    return error.name === "AbortError" ? null : downloadSink(name, format);
  }
  return fileSink(handle);
}

async function fileSink(handle) {
  // The browser has made the file if it was new. A file that has something in it stays as it was.
  const isEmpty = (await handle.getFile()).size === 0;
  const stream = await handle.createWritable();
  return {
    write: (bytes) => stream.write(bytes),
    finish: () => stream.close(),
    async discard() {
      await stream.abort();
      if (isEmpty) await handle.remove?.();
    },
  };
}

function downloadSink(name, format) {
  const type = MEDIA_TYPES[format];
  let [parts, bytesInParts] = [[], 0];
  return {
    write(bytes) {
      parts.push(bytes);
      bytesInParts += bytes.length;
      if (bytesInParts > BLOB_BYTES) [parts, bytesInParts] = [[new Blob(parts)], 0];
    },
    finish: () => saveFile(name, new Blob(parts, { type })),
    discard() {
      parts = [];
    },
  };
}
