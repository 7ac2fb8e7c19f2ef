// Who finds the faces: a worker of this browser, or a service. Both: load(row, webgpu), then detect(frame, ...).
import { drawn, pixelsOf } from "./picture.js";
import { Failure, ofNet } from "./words.js";

const LONGEST = 120_000; // ms for a net to load; a graphics card may never answer
const THREADS = 4; // more bring little to small nets

export class BrowserEngine {
  constructor(site) {
    this.runtime = new URL(site.runtime, document.baseURI).href;
    this.threads = self.crossOriginIsolated ? Math.min(THREADS, navigator.hardwareConcurrency || 1) : 1;
  }

  // Whether the detector of a row of site.json is ready.
  has(row, webgpu) { return this.loaded === `${row.name} ${webgpu}`; }

  // Make it ready; returns its sidecar.
  async load(row, webgpu) {
    if (this.has(row, webgpu)) return this.facts;
    if (this.webgpu !== webgpu) this.stop(); // a worker has one runtime
    this.webgpu = webgpu;
    this.loaded = undefined;
    const [onnx, sidecar] = [row.onnx, row.facts].map(address => new URL(address, document.baseURI).href);
    try {
      const job = { runtime: this.runtime, webgpu, threads: this.threads, onnx, sidecar };
      ({ facts: this.facts } = await this.ask("load", job, [], LONGEST));
    } catch (error) {
      this.stop();
      throw ofNet(error, row.title);
    }
    this.loaded = `${row.name} ${webgpu}`;
    return this.facts;
  }

  // Faces of a canvas: {faces, size: of the net's input, ms}; those with a score under `lowest` are not needed.
  async detect({ canvas }, side, lowest) {
    const { width, height } = canvas, pixels = pixelsOf(canvas);
    try {
      return await this.ask("detect", { pixels, width, height, side, lowest }, [pixels.buffer]);
    } catch (error) {
      this.stop(); // its memory may be damaged
      throw ofNet(error);
    }
  }

  // The worker's answer. There is one question at a time.
  ask(kind, job, moved, longest) {
    const worker = this.worker ??= new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    return new Promise((done, failed) => {
      const timer = longest && setTimeout(() => failed(new Error("no answer within two minutes")), longest);
      worker.onerror = event => {
        event.preventDefault();
        clearTimeout(timer);
        failed(new Error(event.message || "it does not start"));
      };
      worker.onmessage = ({ data: { result, error } }) => {
        clearTimeout(timer);
        if (error === undefined) done(result); else failed(new Error(error));
      };
      worker.postMessage({ kind, ...job }, moved);
    });
  }

  stop() {
    this.worker?.terminate();
    this.worker = this.loaded = undefined;
  }
}

const KEY = { wanted: "The server wants a key. Type it below.", wrong: "The server does not accept this key." };
const ANSWERS = { // where what is between the page and the service answers, without a sentence of its own
  413: "The picture is too large for the server.",
  429: "The server has too much to do. Try again in a moment.",
  502: "The server is not there at the moment. Try again.",
  503: "The server has too much to do. Try again in a moment.",
  504: "The server took too long. Try again.",
};

export class ServiceEngine {
  constructor(site) {
    this.address = new URL(site.service, document.baseURI);
    this.key = "";
  }

  has(row) { return this.row === row; }

  async load(row) {
    if (!this.has(row)) {
      const answer = row.facts && await fetch(row.facts).catch(() => null);
      this.facts = answer?.ok ? await answer.json() : null;
      this.row = row;
    }
    return this.facts;
  }

  // The file as it is; as JPEG a frame of the camera, and what has to be smaller than the file. The answer has all
  // faces; the page applies the threshold.
  async detect({ canvas, blob, full }, side) {
    const start = performance.now(), address = new URL(this.address);
    address.search = new URLSearchParams({ model: this.row.name, threshold: 0 });
    const factor = Math.min(1, side / Math.max(canvas.width, canvas.height));
    const size = [canvas.width, canvas.height].map(length => Math.max(1, Math.round(length * factor)));
    if (!blob || full[0] * full[1] > size[0] * size[1]) {
      const sent = factor < 1 ? drawn(canvas, ...size) : canvas;
      blob = await new Promise(done => sent.toBlob(done, "image/jpeg", 0.9));
    }
    const headers = { "Content-Type": blob.type || "application/octet-stream" };
    if (this.key) headers.Authorization = `Bearer ${this.key}`;
    const answer = await fetch(address, { method: "POST", body: blob, headers }).catch(() => null);
    if (!answer) throw new Failure("The server does not answer: it has stopped, or it wants no picture of this size.");
    const result = await answer.json().catch(() => null);
    if (!answer.ok || !result?.faces) throw refused(answer, result, this.key ? KEY.wrong : KEY.wanted);
    const x = canvas.width / result.width, y = canvas.height / result.height;
    const faces = result.faces.map(({ box: [x1, y1, x2, y2], score, landmarks }) => ({
      box: [x1 * x, y1 * y, x2 * x, y2 * y], score,
      ...landmarks && { landmarks: landmarks.map(point => point && [point[0] * x, point[1] * y]) } }));
    return { faces, size, ms: { net: result.ms, all: performance.now() - start } };
  }
}

function refused({ status, headers }, result, unauthorized) {
  const own = result?.error?.message ?? ANSWERS[status] ?? `The server failed (${status}).`;
  const text = status === 401 ? unauthorized : own;
  return Object.assign(new Failure(text), { status, later: status === 503 ? +headers.get("Retry-After") || 1 : 0 });
}
