// The picture with its faces: boxes, points, or the faces hidden.
const CELLS = 6, MARGIN = 0.2; // what is left of a hidden face: as `manyfaces detect --blur`

// From blue for the lowest score that is shown to red for 1.
export function colour(score, lowest) {
  const fraction = Math.min(Math.max((score - lowest) / Math.max(1 - lowest, 1e-9), 0), 1);
  return `hsl(${Math.round(215 - 215 * fraction)} 90% 52%)`;
}

// Draw `source` (a canvas of width x height px) and the faces in it onto `canvas`, which has `factor` times its size.
export function paint(canvas, source, factor, faces, { boxes, points, blur, lowest, hidden, chosen }) {
  const [width, height] = [source.width, source.height].map(side => Math.max(1, Math.round(side * factor)));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const pen = canvas.getContext("2d"), unit = Math.max(1, Math.sqrt(width * height) / 350);
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(source, 0, 0, width, height);
  // Larger ones last: a small box within a large one would show more of the face than the large one leaves.
  const size = ({ box: [x1, y1, x2, y2] }) => (x2 - x1) * (y2 - y1);
  if (blur) for (const { box } of [...hidden].sort((a, b) => size(a) - size(b))) hide(pen, source, box, factor);
  [...faces.entries()].reverse().forEach(([number, { box, score, landmarks }]) => {
    const [x1, y1, x2, y2] = box.map(value => value * factor), side = Math.min(x2 - x1, y2 - y1);
    const line = Math.max(1, Math.min(unit * 1.3, side / 8)) * (number === chosen ? 2 : 1);
    if (boxes || number === chosen) {
      pen.lineJoin = "round";
      for (const [style, wide] of [["rgb(0 0 0 / 55%)", line + 2], [colour(score, lowest), line]]) {
        pen.strokeStyle = style;
        pen.lineWidth = wide;
        pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
      }
    }
    if (points && !blur && landmarks && side >= 14) for (const [x, y] of landmarks.filter(Boolean)) {
      pen.beginPath();
      pen.arc(x * factor, y * factor, Math.max(1.5, Math.min(2.6 * unit, side / 26)), 0, 7);
      pen.fillStyle = "#fff";
      pen.strokeStyle = "rgb(0 0 0 / 75%)";
      pen.lineWidth = Math.max(1, unit / 2);
      pen.fill();
      pen.stroke();
    }
  });
}

// Put the mean colours of at most CELLS x CELLS areas of a box and its margin in its place, with smooth transitions.
function hide(pen, source, [x1, y1, x2, y2], factor) {
  const mx = MARGIN * (x2 - x1), my = MARGIN * (y2 - y1);
  const left = Math.max(0, Math.floor(x1 - mx)), right = Math.min(source.width, Math.ceil(x2 + mx));
  const top = Math.max(0, Math.floor(y1 - my)), bottom = Math.min(source.height, Math.ceil(y2 + my));
  const width = right - left, height = bottom - top;
  if (width < 1 || height < 1) return;
  const step = Math.max(width, height) / CELLS;
  const [columns, rows] = [width, height].map(side => Math.max(1, Math.min(Math.round(side / step), side >> 1)));
  const { data } = source.getContext("2d", { willReadFrequently: true }).getImageData(left, top, width, height);
  const sums = new Float64Array(columns * rows * 4);
  for (let y = 0, i = 0; y < height; y++) for (let x = 0; x < width; x++, i += 4) {
    const cell = 4 * (Math.floor(y * rows / height) * columns + Math.floor(x * columns / width));
    sums[cell] += data[i]; sums[cell + 1] += data[i + 1]; sums[cell + 2] += data[i + 2]; sums[cell + 3]++;
  }
  const means = new OffscreenCanvas(columns, rows), pixels = new ImageData(columns, rows);
  for (let i = 0; i < sums.length; i += 4) {
    for (let c = 0; c < 3; c++) pixels.data[i + c] = Math.round(sums[i + c] / sums[i + 3]);
    pixels.data[i + 3] = 255;
  }
  means.getContext("2d").putImageData(pixels, 0, 0);
  pen.save();
  pen.beginPath();
  pen.rect(left * factor, top * factor, width * factor, height * factor);
  pen.clip();
  for (const smooth of [false, true]) { // smoothing may fade out at the edges, so that the tiles are drawn below
    pen.imageSmoothingEnabled = smooth;
    pen.drawImage(means, left * factor, top * factor, width * factor, height * factor);
  }
  pen.restore();
}
