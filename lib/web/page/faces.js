// From the maps of a net with anchors to faces, as the package's Python code does it, by the sidecar (`facts`) alone.
const { exp, fround, log, max, min } = Math;
const LARGEST = log(1000 / 16); // natural logarithm of the most that a box grows over its anchor

// Faces before suppression, in px of the net's input of width x height px: {box: [x1, y1, x2, y2], score, landmarks?}.
// Those with a score under `least` may be left out: a face is suppressed by better ones alone.
export function decode(maps, facts, [width, height], scale = 1, least = 0) {
  const faces = [], { score, top } = facts.thresholds, from = max(score, least), lowest = log(from / (1 - from));
  for (const { module, stride, variances: [near, growth], sides } of facts.anchors) {
    const scores = maps[`${module}_scores`], boxes = maps[`${module}_boxes`].data;
    const points = maps[`${module}_landmarks`]?.data, columns = scores.dims[2], used = runs(facts, sides.length, scale);
    for (const n of highest(scores.data, lowest, top, used)) {
      const kind = n % sides.length, cell = (n - kind) / sides.length, column = cell % columns;
      const row = (cell - column) / columns, x = (column + 0.5) * stride, y = (row + 0.5) * stride;
      const [w, h] = sides[kind], k = 4 * n;
      const [left, right] = ends(x + boxes[k] * near * w, w, boxes[k + 2] * growth, width);
      const [upper, lower] = ends(y + boxes[k + 1] * near * h, h, boxes[k + 3] * growth, height);
      if (!(left < right && upper < lower)) continue; // beside the image
      const face = { box: [left, upper, right, lower], score: fround(1 / (1 + exp(-scores.data[n]))) };
      if (points) face.landmarks = [0, 2, 4, 6, 8].map(k => 10 * n + k).map(k =>
        [fround(x + points[k] * near * w), fround(y + points[k + 1] * near * h)]);
      faces.push(face);
    }
  }
  return faces;
}
function ends(centre, side, growth, most) {
  const half = 0.5 * side * exp(min(growth, LARGEST));
  return [min(max(fround(centre - half), 0), most), min(max(fround(centre + half), 0), most)];
}

// The kinds of anchors that run at a scale of the image: TEST.TEMPLATES of Tiny Faces.
function runs({ config }, kinds, scale) {
  const rules = config.TEST.TEMPLATES ?? [];
  return Array.from({ length: kinds }, (_, k) => !rules.length || rules.some(([over, first, last, most = Infinity]) =>
    scale > over && scale <= most && k + 1 >= first && k + 1 <= last));
}

// Places of at most `top` logits that are `lowest` or more, in their order.
function highest(logits, lowest, top, used) {
  const places = [];
  for (let n = 0; n < logits.length; n++) if (logits[n] >= lowest && used[n % used.length]) places.push(n);
  if (places.length <= top) return places;
  return places.sort((a, b) => logits[b] - logits[a]).slice(0, top).sort((a, b) => a - b);
}

// The best face, without those whose IoU with it is over the threshold, then the best of the rest; at most `keep`.
export function nms(faces, threshold, keep) {
  const kept = [];
  for (const face of [...faces].sort((a, b) => b.score - a.score)) {
    if (kept.length >= keep) break;
    if (kept.every(other => iou(face.box, other.box) <= threshold)) kept.push(face);
  }
  return kept;
}
function iou(a, b) {
  const w = min(a[2], b[2]) - max(a[0], b[0]), h = min(a[3], b[3]) - max(a[1], b[1]);
  if (!(w > 0 && h > 0)) return 0;
  return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h);
}

// The same faces in an image that is x times as wide and y times as high.
export function scaled(faces, x, y) {
  const [fx, fy] = [fround(x), fround(y)];
  return faces.map(({ box: [x1, y1, x2, y2], score, landmarks }) => ({
    box: [fround(x1 * fx), fround(y1 * fy), fround(x2 * fx), fround(y2 * fy)], score,
    ...landmarks && { landmarks: landmarks.map(([px, py]) => [fround(px * fx), fround(py * fy)]) } }));
}
