// Pixels on their way into a net: its size, and an image made smaller.

// [width, height] of the net's input for an image: squeezed where the sidecar says so, else at most `side` px long.
export function inputSize({ input, config }, width, height, side = Infinity) {
  const fixed = input.squeeze ?? config.TEST.SIZE;
  if (fixed?.length) return fixed;
  const factor = Math.min(1, side / Math.max(width, height));
  return [width, height].map(length => Math.max(1, Math.round(length * factor)));
}

// RGB of a size from RGBA: each pixel is the mean of the area that it covers, rounded as by the package's `shrink`. An
// image that has to grow is interpolated between pixels.
export function resized(rgba, width, height, newWidth, newHeight) {
  if (newWidth > width || newHeight > height) return interpolated(rgba, width, height, newWidth, newHeight);
  const rgb = new Uint8Array(newWidth * newHeight * 3);
  if (newWidth === width && newHeight === height) {
    for (let i = 0, o = 0; o < rgb.length; i += 2) {
      rgb[o++] = rgba[i++]; rgb[o++] = rgba[i++]; rgb[o++] = rgba[i];
    }
    return rgb;
  }
  const rows = coverage(height, newHeight, 256), columns = coverage(width, newWidth, 16384);
  const line = new Uint32Array(width * 3);
  for (let y = 0, o = 0; y < newHeight; y++) {
    line.fill(0);
    for (let tap = rows.first[y], k = y * rows.taps; k < (y + 1) * rows.taps; k++, tap++) {
      const weight = rows.weights[k];
      if (weight) for (let i = 4 * width * tap, n = 0; n < line.length; i += 4) {
        line[n++] += weight * rgba[i]; line[n++] += weight * rgba[i + 1]; line[n++] += weight * rgba[i + 2];
      }
    }
    for (let x = 0; x < newWidth; x++) {
      let red = 2 ** 21, green = red, blue = red;
      for (let n = 3 * columns.first[x], k = x * columns.taps; k < (x + 1) * columns.taps; k++, n += 3) {
        const weight = columns.weights[k];
        if (weight) { red += weight * line[n]; green += weight * line[n + 1]; blue += weight * line[n + 2]; }
      }
      rgb[o++] = red / 2 ** 22; rgb[o++] = green / 2 ** 22; rgb[o++] = blue / 2 ** 22;
    }
  }
  return rgb;
}

// Weights of the pixels of a line in a shorter line, in `units`; those of one new pixel sum to `units`.
function coverage(source, target, units) {
  const factor = source / target, first = new Uint32Array(target);
  let taps = 1;
  for (let n = 0; n < target; n++) {
    first[n] = Math.floor(n * factor);
    taps = Math.max(taps, Math.ceil(n * factor + factor) - first[n]);
  }
  const weights = new Uint32Array(target * taps);
  for (let n = 0; n < target; n++) {
    let before = 0;
    for (let tap = 0; tap < taps; tap++) {
      const covered = rint(Math.min(1, (first[n] + tap + 1 - n * factor) / factor) * units);
      weights[n * taps + tap] = covered - before;
      before = covered;
    }
  }
  return { first, taps, weights };
}
function rint(value) { // the nearest whole number; of two, the even one
  const low = Math.floor(value);
  return value - low === 0.5 ? low + low % 2 : Math.round(value);
}

function interpolated(rgba, width, height, newWidth, newHeight) {
  const rgb = new Uint8Array(newWidth * newHeight * 3), stepX = width / newWidth, stepY = height / newHeight;
  const at = (place, most) => Math.min(Math.max(place, 0), most - 1);
  for (let y = 0, o = 0; y < newHeight; y++) {
    const fy = at((y + 0.5) * stepY - 0.5, height), y0 = Math.floor(fy), y1 = at(y0 + 1, height), dy = fy - y0;
    for (let x = 0; x < newWidth; x++) {
      const fx = at((x + 0.5) * stepX - 0.5, width), x0 = Math.floor(fx), x1 = at(x0 + 1, width), dx = fx - x0;
      for (let c = 0; c < 3; c++) {
        const pixel = (px, py) => rgba[4 * (py * width + px) + c];
        const above = pixel(x0, y0) * (1 - dx) + pixel(x1, y0) * dx;
        const below = pixel(x0, y1) * (1 - dx) + pixel(x1, y1) * dx;
        rgb[o++] = above * (1 - dy) + below * dy + 0.5;
      }
    }
  }
  return rgb;
}
