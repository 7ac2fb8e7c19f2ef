// The page: what it knows (`state`), the one loop that finds faces, and what the reader can do.
import { Camera } from "./camera.js";
import { paint } from "./draw.js";
import { BrowserEngine, ServiceEngine } from "./engines.js";
import { FaceList } from "./list.js";
import { drawn, newCanvas, openPicture } from "./picture.js";
import * as words from "./words.js";

const $ = id => document.getElementById(id);
const HIDE_SCORE = 0.3, SHOWN_SCORE = 0.65, SIDE_OF_CAMERA = 640, SIDE_OF_PICTURE = 1280;

// source: {canvas, blob, name, full} of a picture, {live: true} of the camera, or null. shown: {canvas, faces, ...} that
// belong together. Both change only as a whole.
const state = { source: null, shown: null, chosen: -1, facts: null };
const camera = new Camera(() => fail(new words.Failure("The camera was unplugged or taken away.")));
let site, engines, wanted = false, working = false, resumes = false, rate = 0, openings = 0;

// ------------------------------------------------------------------ the loop

// Find faces (again): of the newest source, with the newest settings. Calls while one runs become one more run.
async function refresh() {
  wanted = true;
  if (working) return;
  working = true;
  while (wanted && state.source) {
    wanted = false;
    try {
      await once();
    } catch (error) {
      fail(error);
    }
  }
  working = wanted = false;
  busy("");
}

async function once() {
  const { source } = state, engine = engines[place()], row = chosenModel();
  const calm = !source.live || !state.shown?.live;
  if (calm) busy(engine.row === row || engine.loaded?.startsWith(`${row.name} `) ? "Looking for faces…" : `Loading ${row.title}…`);
  const facts = await loaded(engine, row);
  if (state.facts !== facts) setFacts(facts);
  if (state.source !== source) return;
  if (calm) busy("Looking for faces…");
  const start = performance.now(), frame = source.live ? await grabbed() : source;
  if (!frame || state.source !== source) return;
  const found = await engine.detect(frame, sideOf(source));
  if (state.source !== source || row !== chosenModel()) return; // overtaken
  rate = source.live && state.shown?.live ? 0.8 * rate + 0.2 * 1000 / (performance.now() - start) : 0;
  state.shown = { ...frame, live: source.live, ...found, row };
  busy("");
  if (!source.live) $("message").hidden = true;
  show();
  if (source.live && camera.running) {
    await camera.nextFrame();
    wanted = true;
  }
}

// The facts of a detector that is ready; a graphics card that fails is left alone.
async function loaded(engine, row) {
  const webgpu = $("webgpu").checked && place() === "browser";
  try {
    return await engine.load(row, webgpu);
  } catch (error) {
    if (!webgpu) throw error;
    $("webgpu").checked = false;
    fail(new words.Failure("The graphics card cannot run this detector here; the processor does."));
    return engine.load(row, false);
  }
}

const frames = [newCanvas(1, 1), newCanvas(1, 1)]; // one is shown while the next one is searched
async function grabbed() {
  for (let tries = 0; camera.running && !camera.ready && tries < 20; tries++) await camera.nextFrame();
  if (!camera.ready) return null;
  frames.reverse();
  const { video, mirrored } = camera;
  return { canvas: drawn(video, video.videoWidth, video.videoHeight, frames[0], mirrored) };
}

// ------------------------------------------------------------------ sources

async function open(blob, name) {
  const opening = ++openings;
  stopCamera();
  busy("Opening the picture…");
  try {
    const { image, width, height, full } = await openPicture(blob, name);
    if (opening !== openings) return image.close();
    const canvas = drawn(image, width, height);
    image.close();
    setSource({ canvas, blob, name, full });
    state.shown = { canvas, faces: [], pending: true };
    show();
    refresh();
  } catch (error) {
    if (opening === openings) fail(error);
  }
  if (!working) busy("");
}

function openFirst(files, nothing) {
  if (files.length) open(files[0], files[0].name);
  else fail(new words.Failure(nothing));
}

async function startCamera(device) {
  const opening = ++openings;
  busy("Starting the camera…");
  try {
    await camera.start(device);
    if (opening !== openings || !camera.running) return;
    setSource({ live: true });
    refresh();
  } catch (error) {
    if (opening === openings) fail(error);
  }
  if (!working) busy("");
  cameraButtons();
}

function stopCamera() {
  resumes = false;
  camera.stop();
  if (state.source?.live) state.source = null; // the last frame stays
  cameraButtons();
}

function setSource(source) {
  Object.assign(state, { source, chosen: -1 });
  $("message").hidden = true;
}

function cameraButtons() {
  $("camera").setAttribute("aria-pressed", camera.running);
  $("camera").textContent = camera.running ? "Stop" : "Camera";
  $("turn").hidden = !camera.running || camera.devices.length < 2;
}

// ------------------------------------------------------------------ what is seen

function visible() {
  const { shown } = state, lowest = Math.fround($("threshold").value);
  return shown ? shown.faces.filter(({ score }) => score >= lowest) : [];
}

function show() {
  const { shown } = state;
  $("stage").classList.toggle("empty", !shown);
  $("empty").hidden = !!shown;
  $("canvas").hidden = !shown;
  if (!shown) return;
  const found = visible(), { canvas } = shown;
  repaint(found);
  if (shown.pending) {
    say("Looking for faces…");
    $("facts").textContent = words.size([canvas.width, canvas.height]);
    list.show([], canvas, options());
  } else {
    say(`${words.faces(found.length)} found`, shown.live);
    $("facts").textContent = factsOf(shown);
    list.show(found, canvas, options());
  }
  $("canvas").setAttribute("aria-label", `${shown.live ? "Camera" : shown.name || "Picture"}: ${$("count").textContent}`);
  const note = noteOf(shown);
  $("note").textContent = note;
  $("note").hidden = !note;
  for (const id of ["save", "save-json"]) $(id).disabled = !!shown.pending;
}

function options() {
  const lowest = Math.min(state.facts?.thresholds.shown ?? SHOWN_SCORE, +$("threshold").value);
  return { boxes: $("boxes").checked, points: $("points").checked, blur: $("blur").checked, lowest, chosen: state.chosen };
}

function repaint(found = visible()) {
  const { shown } = state, stage = $("stage");
  if (!shown) return;
  const { width, height } = shown.canvas, narrow = matchMedia("(max-width: 860px)").matches;
  const room = [stage.clientWidth, narrow ? innerHeight * 0.7 : stage.clientHeight];
  const fit = Math.min(room[0] / width, room[1] / height, Math.max(1, 320 / width)), density = devicePixelRatio || 1;
  $("canvas").style.width = `${width * fit}px`;
  $("canvas").style.height = `${height * fit}px`;
  paint($("canvas"), shown.canvas, fit * density, found, options());
}

function factsOf({ canvas, size, ms, live, row }) {
  const where = size ? `, searched at ${words.size(size)}` : "";
  const speed = live && rate ? ` · ${rate.toFixed(rate < 10 ? 1 : 0)} frames/s` : "";
  const net = ms.net === undefined ? "" : ` · net ${words.number(ms.net)} ms, whole ${words.number(ms.all)} ms`;
  return `${words.size([canvas.width, canvas.height])}${where}${net}${speed} · ${row.title}`;
}

// What a reader has to know about this result.
function noteOf({ canvas, full, size, pending, live }) {
  const notes = [], fixed = fixedSize();
  if (full && full[0] * full[1] > canvas.width * canvas.height)
    notes.push(`The file has ${words.size(full)}; it is shown and saved at ${words.size([canvas.width, canvas.height])}.`);
  if (!pending && !live && size && !fixed && Math.max(...size) < Math.max(canvas.width, canvas.height))
    notes.push("The picture was made smaller for the detector. More detail finds smaller faces.");
  if ($("blur").checked) notes.push("Look at the result: no detector finds every face.");
  return notes.join(" ");
}

let spoken = 0;
function say(text, live) {
  if ($("count").textContent === text || live && performance.now() - spoken < 1500 && !camera.first) return;
  spoken = performance.now();
  $("count").textContent = text;
}

function busy(text) {
  $("busy").textContent = text;
  $("busy").hidden = !text;
  document.body.setAttribute("aria-busy", !!text);
}

function fail(error) {
  const known = error instanceof words.Failure;
  if (!known) console.error(error);
  $("message").textContent = known ? error.message : `Something went wrong: ${error?.message ?? error}`;
  $("message").hidden = false;
  if (error.status === 401 || error.status === 403) $("key-row").hidden = false;
  if (state.source?.live) stopCamera();
  else if (state.shown?.pending) say("No result");
  busy("");
}

// ------------------------------------------------------------------ settings

const place = () => engines.browser && (!engines.service || document.forms.settings.place.value === "browser") ? "browser" : "service";
const chosenModel = () => site.models.find(({ name }) => name === $("model").value);
const sideOf = ({ live }) => $("side").value === "auto" ? (live ? SIDE_OF_CAMERA : SIDE_OF_PICTURE) : +$("side").value;
function fixedSize() {
  const size = state.facts?.input.squeeze ?? state.facts?.config.TEST.SIZE;
  return size?.length ? size : null;
}

function fillModels() {
  const before = $("model").value, here = place() === "browser";
  const rows = site.models.filter(({ onnx, service }) => here ? onnx : service);
  $("model").replaceChildren(...rows.map(({ name, title, megabytes }) =>
    new Option(here && megabytes ? `${title} (${megabytes} MB)` : title, name)));
  $("model").value = (rows.find(({ name }) => name === before) ?? rows.find(row => row.default) ?? rows[0])?.name;
  $("where").textContent = here ? "In this browser: pictures are not sent anywhere" : `Pictures are sent to ${location.host}`;
  $("where").classList.toggle("sent", !here);
  for (const id of ["side-row", "webgpu-row"]) $(id).hidden = !here;
}

// The threshold starts where this detector's results are shown, or lower where faces are hidden: none should be missed.
function setFacts(facts) {
  state.facts = facts;
  $("threshold").min = facts?.thresholds.score ?? 0.02;
  setThreshold();
  const points = !facts || facts.outputs.some(({ name }) => name.endsWith("_landmarks"));
  $("points").disabled = !points;
  $("points-row").classList.toggle("off", !points);
  const fixed = fixedSize();
  $("side").disabled = !!fixed;
  $("side-row").classList.toggle("off", !!fixed);
  $("side-row").title = fixed ? `This detector always searches at ${words.size(fixed)}.` : "";
  $("licence").textContent = facts?.licence ? `Training data of this detector: ${facts.licence}.` : "";
}

function setThreshold() {
  const test = state.facts?.config.TEST;
  $("threshold").value = $("blur").checked ? test?.HIDE_SCORE ?? HIDE_SCORE : state.facts?.thresholds.shown ?? SHOWN_SCORE;
  $("threshold-value").textContent = (+$("threshold").value).toFixed(2);
}

// ------------------------------------------------------------------ files to keep

function keep(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const stem = () => (state.shown.name || (state.shown.live ? "camera" : "picture")).replace(/\.[^.]*$/, "");

function savePicture() {
  const { canvas, blob } = state.shown, whole = newCanvas(1, 1);
  paint(whole, canvas, 1, visible(), { ...options(), chosen: -1 });
  const jpeg = !blob || blob.type === "image/jpeg", name = `${stem()}-${$("blur").checked ? "blurred" : "faces"}`;
  whole.toBlob(made => made ? keep(made, `${name}.${jpeg ? "jpg" : "png"}`)
    : fail(new words.Failure("There is not enough memory to save the picture.")), jpeg ? "image/jpeg" : "image/png", 0.93);
}

// As Detections.to_json of the package writes it.
function saveJson() {
  const faces = visible(), landmarks = faces.some(face => face.landmarks);
  const text = JSON.stringify({ threshold: +$("threshold").value, landmarks, faces }, null, 1);
  keep(new Blob([text], { type: "application/json" }), `${stem()}.json`);
}

// ------------------------------------------------------------------ events

const list = new FaceList($("faces"), $("more"), number => { state.chosen = number; repaint(); });

function listen() {
  $("file").onchange = ({ target }) => { openFirst(target.files, "No file was chosen."); target.value = ""; };
  $("camera").onclick = () => camera.running ? (openings++, stopCamera()) : startCamera();
  $("turn").onclick = () => startCamera(camera.next);
  let example = 0;
  $("example").onclick = async () => {
    try {
      const name = site.examples[example++ % site.examples.length];
      open(await (await fetch(name)).blob(), name);
    } catch {
      fail(new words.Failure("The example cannot be loaded: the server does not answer."));
    }
  };
  let depth = 0; // of nested elements that a dragged picture is over
  addEventListener("dragenter", event => { event.preventDefault(); depth++; $("stage").classList.add("over"); });
  addEventListener("dragleave", () => { if (--depth <= 0) $("stage").classList.remove("over"); });
  addEventListener("dragover", event => event.preventDefault());
  addEventListener("drop", event => {
    event.preventDefault();
    depth = 0;
    $("stage").classList.remove("over");
    openFirst(event.dataTransfer.files, "That was no file. Save the picture first, then drop the file: this page fetches nothing.");
  });
  addEventListener("paste", event => {
    const files = [...event.clipboardData?.files ?? []];
    if (files.length || !event.target.matches?.("input")) openFirst(files, "There is no picture in the clipboard.");
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && camera.running) { stopCamera(); resumes = true; }
    else if (!document.hidden && resumes) startCamera(camera.device);
  });
  addEventListener("pagehide", () => camera.stop());
  $("model").onchange = $("side").onchange = $("webgpu").onchange = () => refresh();
  for (const choice of document.querySelectorAll("[name=place]")) choice.onchange = () => { fillModels(); refresh(); };
  $("key").onchange = ({ target }) => { engines.service.key = target.value; refresh(); };
  $("threshold").oninput = () => { $("threshold-value").textContent = (+$("threshold").value).toFixed(2); state.chosen = -1; show(); };
  $("blur").onchange = ({ target }) => { $("boxes").checked = !target.checked; setThreshold(); show(); };
  $("boxes").onchange = $("points").onchange = () => show();
  $("save").onclick = savePicture;
  $("save-json").onclick = saveJson;
  document.forms.settings.onsubmit = event => event.preventDefault();
  new ResizeObserver(() => repaint()).observe($("stage"));
}

async function start() {
  site = await (await fetch("site.json")).json();
  engines = { ...site.runtime && { browser: new BrowserEngine(site) }, ...site.service && { service: new ServiceEngine(site) } };
  $("places").hidden = !(engines.browser && engines.service);
  $("host").textContent = location.host;
  fillModels();
  const gpu = site.webgpu && navigator.gpu;
  $("webgpu").disabled = !gpu;
  $("webgpu-row").classList.toggle("off", !gpu);
  $("webgpu-row").title = gpu ? "By WebGPU; another 27 MB are loaded" : "This browser or this site has no WebGPU";
  show();
  listen();
  if (place() === "browser" && chosenModel()) {
    busy(`Loading ${chosenModel().title}…`);
    setFacts(await loaded(engines.browser, chosenModel())); // before the first picture comes
    if (!working) busy("");
  }
}

start().catch(fail);
