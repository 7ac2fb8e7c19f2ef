// Runs the net beside the page, so that the page stays responsive. One message in, one answer out, in order.
import { decode, nms, scaled } from "./faces.js";
import { inputSize, resized } from "./pixels.js";

let ort, session, facts;

async function load({ runtime, webgpu, threads, onnx, sidecar }) {
  const start = performance.now();
  await session?.release();
  session = undefined;
  if (!ort) {
    ort = await import(`${runtime}ort.${webgpu ? "webgpu" : "wasm"}.min.mjs`);
    ort.env.wasm.wasmPaths = runtime;
    ort.env.wasm.numThreads = threads;
    ort.env.logLevel = "error";
  }
  const [model, text] = await Promise.all([fetched(onnx), fetched(sidecar)]);
  facts = JSON.parse(new TextDecoder().decode(text));
  const options = { executionProviders: [webgpu ? "webgpu" : "wasm"] };
  session = await ort.InferenceSession.create(new Uint8Array(model), options);
  const [width, height] = inputSize(facts, 64, 64);
  await run(new Uint8Array(width * height * 3), width, height); // the first call takes longest
  return { facts, ms: performance.now() - start };
}

async function fetched(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address.split("/").pop()}: the server answered ${answer.status}`);
  return answer.arrayBuffer();
}

async function run(rgb, width, height) {
  return session.run({ [facts.input.name]: new ort.Tensor("uint8", rgb, [1, height, width, 3]) });
}

async function detect({ pixels, width, height, side, lowest }) {
  const size = inputSize(facts, width, height, side), start = performance.now();
  const rgb = resized(pixels, width, height, ...size), ready = performance.now();
  const maps = await run(rgb, ...size), ran = performance.now();
  const candidates = scaled(decode(maps, facts, size, size[0] / width, lowest), width / size[0], height / size[1]);
  const faces = nms(candidates, facts.thresholds.nms, facts.thresholds.keep), done = performance.now();
  for (const map of Object.values(maps)) map.dispose();
  return { faces, size, ms: { shrink: ready - start, net: ran - ready, faces: done - ran, all: done - start } };
}

onmessage = async ({ data: { kind, ...job } }) => {
  try {
    postMessage({ result: await (kind === "load" ? load(job) : detect(job)) });
  } catch (error) {
    postMessage({ error: String(error?.message ?? error) });
  }
};
