// The camera: it runs while it is wanted and the page is visible, and then its light goes out.
import { Failure, noCamera } from "./words.js";

export class Camera {
  // `ended` is called where the camera goes away by itself.
  constructor(ended) {
    this.video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
    this.ended = ended;
    this.stream = null;
    this.turn = 0; // counts starts and stops: a start that was overtaken ends at once
    this.devices = [];
  }

  get running() { return this.stream !== null; }
  get ready() { return this.running && this.video.readyState >= 2 && this.video.videoWidth > 0; }

  async start(device) {
    this.stop();
    const turn = this.turn;
    if (!navigator.mediaDevices?.getUserMedia)
      throw new Failure("Browsers give a page the camera only by https, or on this machine by localhost.");
    let stream;
    try {
      const which = device ? { deviceId: { exact: device } } : { facingMode: "user" };
      const video = { ...which, width: { ideal: 1280 }, height: { ideal: 720 } };
      stream = await navigator.mediaDevices.getUserMedia({ video });
    } catch (error) {
      throw noCamera(error);
    }
    if (turn !== this.turn) return stopped(stream);
    this.stream = stream;
    const [track] = stream.getVideoTracks();
    track.onended = () => { if (this.stream === stream) { this.stop(); this.ended(); } };
    const { facingMode, deviceId } = track.getSettings();
    Object.assign(this, { device: deviceId, mirrored: facingMode !== "environment" });
    this.video.srcObject = stream;
    try {
      await this.video.play();
    } catch (error) {
      if (turn !== this.turn) return; // stopped meanwhile
      this.stop();
      throw noCamera(error);
    }
    this.devices = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
  }

  // The id of the camera after this one.
  get next() {
    const ids = this.devices.map(({ deviceId }) => deviceId);
    return ids[(ids.indexOf(this.device) + 1) % ids.length];
  }

  stop() {
    this.turn++;
    if (this.stream) stopped(this.stream);
    this.stream = null;
    this.video.srcObject = null;
  }

  // Resolves with the next frame, or after a while where none comes.
  nextFrame() {
    return new Promise(done => {
      setTimeout(done, 500);
      if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(done);
      else requestAnimationFrame(done);
    });
  }
}

function stopped(stream) {
  for (const track of stream.getTracks()) track.stop();
}
