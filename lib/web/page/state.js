// What the page knows, and what the reader has chosen.
export const $ = id => document.getElementById(id);

// source: {canvas, blob, name, full} of a picture, {live: true} of the camera, or null. shown: {canvas, faces, ...} of
// one frame. Both change only as a whole. held: [{time, faces}] of half a second of the camera. refused: whether
// the graphics card was tried and failed.
export const state = { site: null, engines: {}, source: null, shown: null, chosen: -1, facts: null, held: [],
  refused: false };

const HIDE_SCORE = 0.3, SHOWN_SCORE = 0.55, SIDE_OF_CAMERA = 640, SIDE_OF_PICTURE = 1280;

// "browser" or "service".
export function place() {
  const { browser, service } = state.engines;
  return browser && !(service && document.forms.settings.place.value === "service") ? "browser" : "service";
}
export const engine = () => state.engines[place()];
export const model = () => state.site.models.find(({ name }) => name === $("model").value);
export const webgpu = () => $("webgpu").checked && place() === "browser";

// px, the most of the net's input for a source.
export function side({ live }) {
  if (fixedSize()) return Infinity;
  return $("side").value === "auto" ? (live ? SIDE_OF_CAMERA : SIDE_OF_PICTURE) : +$("side").value;
}

// [width, height] px to which every picture is squeezed, or null.
export function fixedSize(facts = state.facts) {
  const size = facts?.input.squeeze ?? facts?.config.TEST.SIZE;
  return size?.length ? size : null;
}

export const threshold = () => +$("threshold").value;
export const shownScore = () => state.facts?.thresholds.shown ?? SHOWN_SCORE;
// Where faces are hidden none should be missed, so they count from a lower score on.
export const hideScore = () => state.facts?.config.TEST.HIDE_SCORE ?? HIDE_SCORE;

// The faces that are shown now, best first.
export function visible({ faces } = state.shown ?? { faces: [] }) {
  const lowest = Math.fround(threshold());
  return faces.filter(({ score }) => score >= lowest);
}

// How pictures are drawn.
export function options() {
  return { boxes: $("boxes").checked, points: $("points").checked, blur: $("blur").checked, chosen: state.chosen,
    lowest: Math.min(shownScore(), threshold()), hidden: state.shown?.live ? state.held.flatMap(visible) : visible() };
}
