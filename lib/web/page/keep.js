// Files that the reader keeps.
import { paint } from "./draw.js";
import { newCanvas } from "./picture.js";
import { $, options, state, threshold, visible } from "./state.js";
import { Failure } from "./words.js";

// The picture as it is shown, at full size and without metadata.
export async function savePicture() {
  const { canvas, blob } = state.shown, whole = newCanvas(1, 1);
  paint(whole, canvas, 1, visible(), { ...options(), chosen: -1 });
  const jpeg = !blob || blob.type === "image/jpeg";
  const made = await new Promise(done => whole.toBlob(done, jpeg ? "image/jpeg" : "image/png", 0.93));
  if (!made) throw new Failure("There is not enough memory to save the picture.");
  give(made, `${stem()}-${$("blur").checked ? "blurred" : "faces"}.${jpeg ? "jpg" : "png"}`);
}

// As Detections.to_json of the package writes it.
export function saveJson() {
  const faces = visible(), landmarks = faces.some(face => face.landmarks);
  const text = JSON.stringify({ threshold: threshold(), landmarks, faces }, null, 1);
  give(new Blob([text], { type: "application/json" }), `${stem()}.json`);
}

function stem() {
  const { name, live } = state.shown;
  return (name || (live ? "camera" : "picture")).replace(/\.[^.]*$/, "") || "picture";
}

function give(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
