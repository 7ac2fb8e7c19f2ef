// The one loop that finds faces, where pictures come from, and what the reader can do.
import { Camera } from "./camera.js";
import { BrowserEngine, ServiceEngine } from "./engines.js";
import { saveJson, savePicture } from "./keep.js";
import { drawn, newCanvas, openPicture } from "./picture.js";
import { $, engine, model, side, state, threshold, webgpu } from "./state.js";
import { busy, complain, enable, fillModels, repaint, resetThreshold, setFacts, show, showThreshold } from "./view.js";
import { Failure, NO_CARD } from "./words.js";

const HELD = 500; // ms that a face of the camera stays hidden after the frame in which it was found
const MOST_PATIENCE = 10; // s, of the camera with a service that is busy
const camera = new Camera(() => { stopCamera(); complain(new Failure("The camera was unplugged or taken away.")); });
let wanted = false, working = false; // of the loop
let opening = 0; // counts what the reader opens: what was overtaken is dropped
let resumes = false; // the camera, when the page is seen again

// ------------------------------------------------------------------ the loop

// Find faces of the newest source with the newest settings. Calls while one runs become one more run, so nothing ever
// runs twice at the same time. Without a source the detector is made ready.
async function refresh() {
  wanted = true;
  if (working) return;
  working = true;
  while (wanted) {
    wanted = false;
    try {
      await once();
    } catch (error) {
      await fail(error);
    }
  }
  working = false;
  busy("");
}

async function once() {
  const { source } = state, row = model(), finder = engine();
  const overtaken = () => source !== state.source || row !== model() || finder !== engine(); // then `wanted` is set
  if (!row) throw new Failure("This site has no detector.");
  if (!finder.has(row, webgpu())) busy(`Loading ${row.title}…`);
  const facts = await ready(finder, row);
  if (overtaken()) return;
  if (facts !== state.facts) setFacts(facts);
  if (!source) return;
  const first = !source.live || !state.shown?.live, start = performance.now();
  if (first) busy("Looking for faces…");
  const frame = source.live ? await grabbed() : source;
  if (!frame || overtaken()) return;
  const found = await finder.detect(frame, side(source), source.live ? threshold() - 0.01 : 0);
  if (overtaken()) return;
  const rate = 1000 / (performance.now() - start);
  const recent = state.held.filter(({ time }) => start - time < HELD);
  state.held = source.live ? [...recent, { time: start, faces: found.faces }] : [];
  const smooth = first ? 0 : 0.8 * (state.shown.rate || rate) + 0.2 * rate;
  state.shown = { ...frame, ...found, row, live: source.live, rate: smooth };
  $("message").hidden = true;
  busy("");
  show();
  if (!source.live || !camera.running) return;
  await camera.nextFrame();
  wanted = true;
}

// The sidecar of a detector that is ready. Where the graphics card fails, the processor takes over.
async function ready(finder, row) {
  try {
    return await finder.load(row, webgpu());
  } catch (error) {
    if (!webgpu()) throw error;
    noGraphicsCard();
    return finder.load(row, false);
  }
}

function noGraphicsCard() {
  $("webgpu").checked = false;
  state.refused = true;
  complain(new Failure(NO_CARD));
}

// What the loop does with a failure of one run.
async function fail(error) {
  if (error.later && state.source?.live && camera.running) { // a service that is busy: the camera goes on in a moment
    complain(error);
    await new Promise(done => setTimeout(done, 1000 * Math.min(error.later, MOST_PATIENCE)));
    wanted = true;
    return;
  }
  if (webgpu() && error instanceof Failure) { // it can also fail at a picture
    noGraphicsCard();
    wanted = true;
    return;
  }
  stopCamera();
  complain(error);
}

const frames = [newCanvas(1, 1), newCanvas(1, 1)]; // one is shown while the next one is searched
async function grabbed() {
  for (let tries = 0; camera.running && !camera.ready && tries < 20; tries++) await camera.nextFrame();
  if (!camera.running) return null;
  if (!camera.ready) throw new Failure("The camera gives no picture. Another program may use it.");
  const { video, mirrored } = camera, free = frames.find(canvas => canvas !== state.shown?.canvas);
  return { canvas: drawn(video, video.videoWidth, video.videoHeight, free, mirrored) };
}

// ------------------------------------------------------------------ sources

async function open(blob, name) {
  const number = ++opening;
  stopCamera();
  busy("Opening the picture…");
  try {
    const { image, width, height, full } = await openPicture(blob, name);
    if (number === opening) {
      const canvas = drawn(image, width, height);
      setSource({ canvas, blob, name, full });
      state.shown = { canvas, name, faces: [], pending: true };
      show();
      refresh();
    }
    image.close();
  } catch (error) {
    if (number === opening) complain(error);
  }
  if (!working) busy("");
}

function openFirst(files, nothing) {
  if (files.length) open(files[0], files[0].name);
  else complain(new Failure(nothing));
}

async function startCamera(device) {
  const number = ++opening;
  resumes = false;
  busy("Starting the camera…");
  try {
    await camera.start(device);
    if (camera.running && document.hidden) pause();
    else if (camera.running && number === opening) {
      setSource({ live: true });
      refresh();
    }
  } catch (error) {
    if (number === opening) {
      stopCamera(); // it may have been another camera until now
      complain(error);
    }
  }
  cameraButtons();
  if (!working) busy("");
}

function stopCamera() {
  resumes = false;
  camera.stop();
  if (state.source?.live) { // the last frame stays
    state.source = null;
    show();
  }
  cameraButtons();
}

function pause() {
  stopCamera();
  resumes = true;
}

function setSource(source) {
  Object.assign(state, { source, chosen: -1, held: [] });
  $("message").hidden = true;
}

function cameraButtons() {
  $("camera").setAttribute("aria-pressed", camera.running);
  $("camera").textContent = camera.running ? "Stop" : "Camera";
  $("turn").hidden = !camera.running || camera.devices.length < 2;
}

async function openExample(number) {
  const { examples } = state.site, name = examples[number % examples.length];
  try {
    open(await (await fetch(name)).blob(), name);
  } catch {
    complain(new Failure("The example cannot be loaded: the server does not answer."));
  }
}

// ------------------------------------------------------------------ events

function listen() {
  let example = 0, depth = 0; // depth: of nested elements that a dragged picture is over
  $("file").onchange = ({ target }) => {
    if (target.files.length) open(target.files[0], target.files[0].name);
    target.value = ""; // so that the same file can be chosen again
  };
  $("camera").onclick = () => { if (camera.running) { opening++; stopCamera(); } else startCamera(); };
  $("turn").onclick = () => startCamera(camera.next);
  $("example").onclick = () => openExample(example++);
  const over = on => $("stage").classList.toggle("over", on);
  addEventListener("dragenter", event => { event.preventDefault(); depth++; over(true); });
  addEventListener("dragleave", () => over(--depth > 0));
  addEventListener("dragover", event => event.preventDefault());
  addEventListener("drop", event => {
    event.preventDefault();
    over((depth = 0) > 0);
    openFirst(event.dataTransfer?.files ?? [],
      "That was no file. Save the picture first, then drop the file: this page fetches nothing.");
  });
  addEventListener("paste", event => {
    const files = event.clipboardData?.files ?? [];
    if (files.length || !event.target.matches?.("input")) openFirst(files, "There is no picture in the clipboard.");
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && camera.running) pause();
    else if (!document.hidden && resumes) startCamera(camera.device);
  });
  addEventListener("pagehide", stopCamera);
  $("model").onchange = $("side").onchange = refresh;
  $("webgpu").onchange = () => { state.refused = false; refresh(); };
  for (const choice of document.getElementsByName("place")) choice.onchange = () => { fillModels(); refresh(); };
  $("key").onchange = ({ target }) => { state.engines.service.key = target.value.trim(); refresh(); };
  $("threshold").oninput = () => { showThreshold(); state.chosen = -1; show(); };
  $("blur").onchange = ({ target }) => { $("boxes").checked = !target.checked; resetThreshold(); show(); };
  $("boxes").onchange = $("points").onchange = show;
  $("save").onclick = () => savePicture().catch(complain);
  $("save-json").onclick = saveJson;
  document.forms.settings.onsubmit = event => event.preventDefault();
  new ResizeObserver(repaint).observe($("stage"));
}

async function start() {
  $("stuck").remove();
  let site;
  try {
    site = await (await fetch("site.json")).json();
  } catch {
    throw new Failure("The page is not complete: its server has no site.json.");
  }
  state.site = site;
  if (site.runtime) state.engines.browser = new BrowserEngine(site);
  if (site.service) state.engines.service = new ServiceEngine(site);
  $("places").hidden = !(site.runtime && site.service);
  $("host").textContent = location.host;
  $("threads").textContent = site.runtime ? `ONNX Runtime, threads: ${state.engines.browser.threads}.` : "";
  $("version").textContent = `manyfaces ${site.package}.`;
  fillModels();
  enable("webgpu", site.webgpu && navigator.gpu, "This browser or this site has no WebGPU");
  listen();
  refresh();
}

start().catch(error => { complain(error); busy(""); });
