// What the reader sees and hears.
import { paint } from "./draw.js";
import { FaceList } from "./list.js";
import { $, fixedSize, hideScore, options, place, shownScore, state, visible } from "./state.js";
import * as words from "./words.js";

const NARROW = matchMedia("(max-width: 860px)"), PAUSE = 1500; // ms between two counts that a screen reader reads
const list = new FaceList($("faces"), $("more"), number => { state.chosen = number; repaint(); });
let spoken = 0;

// Everything about `state.shown`.
export function show() {
  const { shown } = state;
  $("stage").classList.toggle("empty", !shown);
  $("empty").hidden = !!shown;
  $("canvas").hidden = !shown;
  if (!shown) return;
  const found = shown.pending ? [] : visible(), { canvas } = shown;
  repaint();
  list.show(found, canvas, options());
  say(shown.pending ? "Looking for faces…" : `${words.faces(found.length)} found`, state.source?.live);
  $("facts").textContent = shown.pending ? words.size([canvas.width, canvas.height]) : factsOf(shown);
  const what = shown.live ? "Camera" : shown.name || "Picture";
  $("canvas").setAttribute("aria-label", `${what}: ${$("count").textContent}`);
  $("note").textContent = notesOf(shown).join(" ");
  $("note").hidden = !$("note").textContent;
  for (const id of ["save", "save-json"]) $(id).disabled = !!shown.pending;
}

// The picture, as large as there is room for; a small one at most so large that its pixels can be seen.
export function repaint() {
  const { shown } = state;
  if (!shown) return;
  const { width, height } = shown.canvas, { style } = $("canvas"), density = devicePixelRatio || 1;
  const room = [$("stage").clientWidth, NARROW.matches ? innerHeight * 0.7 : $("stage").clientHeight];
  const fit = Math.min(room[0] / width, room[1] / height, Math.max(1, 320 / width));
  [style.width, style.height] = [`${width * fit}px`, `${height * fit}px`];
  paint($("canvas"), shown.canvas, fit * density, visible(), options());
}

function factsOf({ canvas, size, ms, live, row, rate }) {
  const facts = [words.size([canvas.width, canvas.height])];
  if (size && (size[0] !== canvas.width || size[1] !== canvas.height)) facts.push(`searched at ${words.size(size)}`);
  if (ms.net !== undefined) facts.push(`net ${words.number(ms.net)} ms`);
  facts.push(`whole ${words.number(ms.all)} ms`);
  if (live && rate) facts.push(`${rate.toFixed(rate < 10 ? 1 : 0)} frames/s`);
  return [...facts, row.title].join(" · ");
}

// What a reader has to know about this result.
function notesOf({ canvas, full, size, live, pending }) {
  const notes = [];
  const kept = [canvas.width, canvas.height];
  if (full && full[0] * full[1] > kept[0] * kept[1])
    notes.push(`The file has ${words.size(full)}; it is shown and saved at ${words.size(kept)}.`);
  if (!live && size && !fixedSize() && Math.max(...size) < Math.max(...kept))
    notes.push("The picture was made smaller for the detector. More detail finds smaller faces.");
  if (!live && !pending && !visible().length)
    notes.push("Nothing found: try a lower score, another detail or another detector.");
  if (!live && size && visible().some(face => isTooLarge(face, size[0] / kept[0])))
    notes.push("A face is larger than this detector is made for. Less detail finds it better.");
  if (state.refused) notes.push(words.NO_CARD);
  if ($("blur").checked) notes.push("Look at the result before you share it: no detector finds every face.");
  return notes;
}

// Whether a face is longer than all anchors in the image that the net received, where its detector sees it once.
function isTooLarge({ box: [x1, y1, x2, y2] }, scale) {
  const { anchors = [], config } = state.facts ?? {};
  if (fixedSize() || !anchors.length || place() === "service" && config.TEST.SCALES.length > 1) return false;
  const longest = Math.max(...anchors.flatMap(({ sides }) => sides.flat()));
  return Math.max(x2 - x1, y2 - y1) * scale > longest;
}

// The line that counts; with `calm` not more often than it can be read aloud.
export function say(text, calm = false) {
  if ($("count").textContent === text || calm && performance.now() - spoken < PAUSE) return;
  spoken = performance.now();
  $("count").textContent = text;
}

export function busy(text) {
  $("busy").textContent = text;
  $("busy").hidden = !text;
  document.body.setAttribute("aria-busy", !!text);
}

export function complain(error) {
  const known = error instanceof words.Failure;
  if (!known) console.error(error);
  $("message").textContent = known ? error.message : `Something went wrong: ${error?.message ?? error}`;
  $("message").hidden = false;
  if (error?.status === 401) $("key-row").hidden = false;
  if (state.shown?.pending) say("No result");
}

// ------------------------------------------------------------------ settings

export function fillModels() {
  const before = $("model").value, here = place() === "browser";
  const rows = state.site.models.filter(({ onnx, service }) => here ? onnx : service);
  $("model").replaceChildren(...rows.map(({ name, title, megabytes }) =>
    new Option(here && megabytes ? `${title} (${megabytes} MB)` : title, name)));
  const chosen = rows.find(({ name }) => name === before) ?? rows.find(row => row.default) ?? rows[0];
  if (chosen) $("model").value = chosen.name;
  $("where").textContent = here ? "In this browser: pictures are not sent anywhere"
    : `Pictures are sent to ${location.host}`;
  $("where").classList.toggle("sent", !here);
  $("webgpu-row").hidden = !here;
}

// The controls for a detector with this sidecar, which may be null: then nothing is known about it.
export function setFacts(facts) {
  const other = facts?.name !== state.facts?.name;
  state.facts = facts;
  $("threshold").min = facts?.thresholds.score ?? 0.02;
  if (other) resetThreshold();
  const points = !facts || facts.outputs.some(({ name }) => name.endsWith("_landmarks"));
  enable("points", points, "This detector has no points");
  const fixed = fixedSize();
  enable("side", !fixed, `This detector always searches at ${fixed && words.size(fixed)}`);
  $("licence").textContent = facts?.licence ? `Training data of this detector: ${facts.licence}.` : "";
}

export function enable(id, able, reason) {
  $(id).disabled = !able;
  $(`${id}-row`).classList.toggle("off", !able);
  $(`${id}-row`).title = able ? "" : reason;
}

export function resetThreshold() {
  $("threshold").value = $("blur").checked ? hideScore() : shownScore();
  showThreshold();
}

export function showThreshold() {
  $("threshold-value").textContent = (+$("threshold").value).toFixed(2);
}
