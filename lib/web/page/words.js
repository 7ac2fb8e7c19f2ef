// What the page says: numbers, and failures in words that help.
export const number = value => value.toLocaleString("en", { maximumFractionDigits: 0 });
export const size = ([width, height]) => `${number(width)} × ${number(height)} px`;
export const faces = count => `${number(count)} ${count === 1 ? "face" : "faces"}`;

export const NO_CARD = "The graphics card cannot run this detector here. The processor does.";

// A failure whose message is for the reader.
export class Failure extends Error {}

const HEIC = /\.(heic|heif)$/i;
const MOVIE = /^(video|audio)\//;

export function notAPicture(blob, name = "") {
  const what = name ? `“${name}”` : "This";
  if (!blob.size) return new Failure(`${what} is empty (or a folder). Give one picture.`);
  if (HEIC.test(name) || /hei[cf]/.test(blob.type))
    return new Failure(`${what} is a HEIC picture, which this browser cannot read. Save it as JPEG and try again.`);
  if (MOVIE.test(blob.type)) return new Failure(`${what} is a ${blob.type.split("/")[0]}, not a picture.`);
  if (blob.type === "image/svg+xml") return new Failure(`${what} is a drawing (SVG), not a picture of pixels.`);
  if (blob.type && !blob.type.startsWith("image/")) return new Failure(`${what} is not a picture (${blob.type}).`);
  return new Failure(`${what} cannot be read as a picture: it is damaged, or of a kind that this browser does not `
    + "know. JPEG, PNG, WebP and GIF work everywhere.");
}

const CAMERA = {
  NotAllowedError: "The camera was refused. Allow it for this page in the browser’s address bar, then try again.",
  NotFoundError: "There is no camera.",
  NotReadableError: "The camera does not start: another program may use it.",
  OverconstrainedError: "There is no such camera any more.",
};
export function noCamera(error) {
  return new Failure(CAMERA[error?.name] ?? `The camera does not start (${error?.message ?? error}).`);
}

// Of the net: running, or loading where `loading` is the detector's title.
export function ofNet(error, loading) {
  const text = String(error?.message ?? error), unreached = /fetch|network/i.test(text);
  if (!unreached && /memory|alloc|out of bounds|RangeError|abort/i.test(text))
    return new Failure(loading ? `There is not enough memory for ${loading}. Close other pages and try again.`
      : "There is not enough memory for this picture. Choose less detail.");
  const cause = unreached ? "the server does not answer" : text.slice(0, 300);
  return new Failure(loading ? `${loading} cannot be loaded: ${cause}. Reload the page, or choose another detector.`
    : `The detector failed: ${cause}. Try again, or choose another detector.`);
}
