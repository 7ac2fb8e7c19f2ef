// The faces one below the other: a small picture, a bar for the score, the size. Choosing one marks it in the picture.
import { colour } from "./draw.js";
import { number } from "./words.js";

const MOST = 60, SIDE = 80; // rows; px of a small picture

export class FaceList {
  constructor(list, more, chosen) {
    Object.assign(this, { list, more, chosen, rows: [] });
  }

  show(faces, canvas, options) {
    const count = Math.min(faces.length, MOST);
    while (this.rows.length < count) this.rows.push(this.newRow(this.rows.length));
    this.list.replaceChildren(...this.rows.slice(0, count).map(({ item }) => item));
    faces.slice(0, count).forEach((face, n) => fill(this.rows[n], face, canvas, options));
    this.mark(options.chosen);
    this.more.hidden = faces.length <= MOST;
    this.more.textContent = `and ${number(faces.length - MOST)} more`;
  }

  mark(chosen) {
    this.rows.forEach(({ button }, n) => button.setAttribute("aria-pressed", n === chosen));
  }

  newRow(n) {
    const item = document.createElement("li"), button = document.createElement("button");
    const picture = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
    const score = document.createElement("div"), bar = document.createElement("span");
    const value = document.createElement("b"), size = document.createElement("small");
    button.type = "button";
    picture.setAttribute("aria-hidden", "true");
    score.className = "score";
    score.append(bar);
    button.append(picture, score, value, size);
    button.onclick = () => {
      const chosen = button.getAttribute("aria-pressed") === "true" ? -1 : n;
      this.mark(chosen);
      this.chosen(chosen);
    };
    item.append(button);
    return { item, button, picture, bar, value, size };
  }
}

function fill({ button, picture, bar, value, size }, { box, score }, canvas, { blur, lowest }) {
  const [x1, y1, x2, y2] = box, side = Math.max(x2 - x1, y2 - y1) * 1.3;
  const left = (x1 + x2 - side) / 2, top = (y1 + y2 - side) / 2, pen = picture.getContext("2d");
  pen.clearRect(0, 0, SIDE, SIDE);
  picture.hidden = blur; // it would show the face
  if (!blur) pen.drawImage(canvas, left, top, side, side, 0, 0, SIDE, SIDE);
  bar.style.width = `${100 * score}%`;
  bar.style.background = colour(score, lowest);
  value.textContent = score.toFixed(2);
  size.textContent = `${number(x2 - x1)} × ${number(y2 - y1)} px`;
  button.setAttribute("aria-label", `Score ${value.textContent}, ${size.textContent}`);
}
