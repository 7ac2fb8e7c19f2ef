// Pictures of files, and their pixels.
import { Failure, notAPicture, size } from "./words.js";

const MOST_OF_FILE = 120e6; // px that are decoded at all
export const MOST = 16e6; // px that are kept and shown: phones draw no larger canvas

// {image, width, height, full: [width, height] of the file, blob, name}; upright by EXIF; an animation's first frame.
export async function openPicture(blob, name = "") {
  const full = await sizeOf(blob, name);
  if (full[0] * full[1] > MOST_OF_FILE)
    throw new Failure(`The picture has ${size(full)}; this page takes at most 120 megapixels. Make it smaller first.`);
  const factor = Math.min(1, Math.sqrt(MOST / (full[0] * full[1])));
  const options = { colorSpaceConversion: "none", imageOrientation: "from-image" };
  if (factor < 1) {
    options.resizeWidth = Math.max(1, Math.floor(full[0] * factor));
    options.resizeHeight = Math.max(1, Math.floor(full[1] * factor));
    options.resizeQuality = "high";
  }
  let image;
  try {
    image = await createImageBitmap(blob, options);
  } catch {
    throw notAPicture(blob, name);
  }
  return { image, width: image.width, height: image.height, full, blob, name };
}

// [width, height] px, upright, before anything of that size is in memory.
async function sizeOf(blob, name) {
  const url = URL.createObjectURL(blob), image = new Image();
  try {
    await new Promise((done, failed) => Object.assign(image, { onload: done, onerror: failed, src: url }));
  } catch {
    throw notAPicture(blob, name);
  } finally {
    URL.revokeObjectURL(url);
  }
  if (blob.type === "image/svg+xml" || !image.naturalWidth || !image.naturalHeight) throw notAPicture(blob, name);
  return [image.naturalWidth, image.naturalHeight];
}

export function newCanvas(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

// The image on a canvas of its size, on white where it is transparent; mirrored for a camera that faces the reader.
export function drawn(image, width, height, canvas = newCanvas(width, height), mirrored = false) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  if (!pen) throw new Failure("There is not enough memory for this picture.");
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, width, height);
  if (mirrored) pen.setTransform(-1, 0, 0, 1, width, 0);
  pen.drawImage(image, 0, 0, width, height);
  pen.setTransform(1, 0, 0, 1, 0, 0);
  return canvas;
}

// RGBA of a canvas.
export function pixelsOf(canvas) {
  try {
    return canvas.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, canvas.width, canvas.height).data;
  } catch {
    throw new Failure("There is not enough memory for this picture. Use a smaller one.");
  }
}
