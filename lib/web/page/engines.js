// Who finds the faces: a worker of this browser, or a service. Both: load(row, webgpu), then detect(frame, side).
import { drawn, pixelsOf } from "./picture.js";
import { Failure, ofNet } from "./words.js";

const LONGEST = 120_000; // ms for a net to load; a graphics card may never answer
const THREADS = 4; // more bring little to small nets

export class BrowserEngine {
  constructor(site) {
    this.runtime = new URL(site.runtime, document.baseURI).href;
    this.threads = self.crossOriginIsolated ? Math.min(THREADS, navigator.hardwareConcurrency || 1) : 1;
    this.number = 0;
  }

  // Make the detector of a row of site.json ready; returns its sidecar.
  async load(row, webgpu) {
    const wanted = `${row.name} ${webgpu}`;
    if (this.loaded === wanted) return this.facts;
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
    this.loaded = wanted;
    return this.facts;
  }

  // Faces of a canvas: {faces, size: of the net's input, ms}.
  async detect({ canvas }, side) {
    const { width, height } = canvas, { buffer } = pixelsOf(canvas);
    try {
      return await this.ask("detect", { pixels: buffer, width, height, side }, [buffer]);
    } catch (error) {
      this.stop(); // its memory may be damaged
      throw ofNet(error);
    }
  }

  ask(kind, job, moved, longest) {
    this.worker ??= new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    const { worker } = this, id = ++this.number;
    return new Promise((done, failed) => {
      const timer = longest && setTimeout(() => failed(new Error("no answer within two minutes")), longest);
      const end = (settle, value) => { clearTimeout(timer); settle(value); };
      worker.onerror = event => { event.preventDefault(); end(failed, new Error(event.message || "it does not start")); };
      worker.onmessage = ({ data }) => {
        if (data.id !== id) return;
        if (data.error === undefined) end(done, data.result); else end(failed, new Error(data.error));
      };
      if (kind === "detect") job.pixels = new Uint8ClampedArray(job.pixels);
      worker.postMessage({ id, kind, ...job }, moved);
    });
  }

  stop() {
    this.worker?.terminate();
    this.worker = this.loaded = undefined;
  }
}

const ANSWERS = {
  401: "The server wants a key: type it below and try again.",
  403: "The server does not accept this key.",
  404: "The server does not know this detector.",
  408: "The picture took too long to reach the server. Try again.",
  413: "The picture is too large for the server.",
  415: "The server cannot read this kind of file.",
  422: "The server cannot read this picture.",
  429: "The server has too much to do. Try again in a moment.",
  503: "The server has too much to do. Try again in a moment.",
};

export class ServiceEngine {
  constructor(site) {
    this.address = new URL(site.service, document.baseURI);
    this.key = "";
  }

  async load(row) {
    if (this.row === row) return this.facts;
    this.facts = row.facts ? await (await fetch(row.facts)).json().catch(() => null) : null;
    this.row = row;
    return this.facts;
  }

  // The file as it is, or a frame of the camera as JPEG. All faces that the detector has; the page applies the threshold.
  async detect({ canvas, blob }) {
    const start = performance.now(), address = new URL(this.address);
    address.search = new URLSearchParams({ model: this.row.name, threshold: 0 });
    blob ??= await new Promise(done => canvas.toBlob(done, "image/jpeg", 0.9));
    const headers = { "Content-Type": blob.type || "application/octet-stream", ...this.key && { Authorization: `Bearer ${this.key}` } };
    let answer, result;
    try {
      answer = await fetch(address, { method: "POST", body: blob, headers });
      result = await answer.json();
    } catch {
      if (!answer) throw new Failure("The server does not answer.");
    }
    if (!answer.ok) {
      const failure = new Failure(ANSWERS[answer.status] ?? `The server failed (${answer.status}).`);
      failure.status = answer.status;
      throw failure;
    }
    const x = canvas.width / result.width, y = canvas.height / result.height, all = performance.now() - start;
    const faces = result.faces.map(({ box: [x1, y1, x2, y2], score, landmarks }) => ({
      box: [x1 * x, y1 * y, x2 * x, y2 * y], score,
      ...landmarks && { landmarks: landmarks.filter(Boolean).map(([px, py]) => [px * x, py * y]) } }));
    return { faces, size: null, ms: { net: result.ms, all } };
  }

  stop() {}
}
