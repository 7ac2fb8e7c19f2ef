"""The page in headless Chromium: the faces are the detectors', from files, drops, the clipboard and the camera."""

import json
from zlib import crc32

import cv2
import numpy as np
import pytest
from chromium import DESKTOP, OVERFLOW, PHONE
from page import is_clean, served

from manyfaces import Detector
from manyfaces.align import hide
from manyfaces.datasets.toy.portraits import portraits
from manyfaces.web.site import shipped

pytest_plugins = ["web_fixtures"]
pytestmark = pytest.mark.slow
SSH, SSD = "ssh_mobilenet_v1_025", "ssd_mobilenet_v2_075"


def assert_the_same(faces, expected):
    """Faces whose scores differ by less than their rounding may stand in another order."""
    assert len(faces) == len(expected) > 2
    apart = np.abs(np.array([face["box"] for face in faces])[:, None] - expected.boxes[None]).max(axis=2)
    expected = expected.take(apart.argmin(axis=1))
    assert sorted(apart.argmin(axis=1)) == list(range(len(faces))) and apart.min(axis=1).max() < 1e-3
    scores = np.array([face["score"] for face in faces])
    assert np.abs(scores - expected.scores).max() < 1e-5 and (np.diff(scores) <= 0).all()
    assert ("landmarks" in faces[0]) == (expected.landmarks is not None)
    if expected.landmarks is not None:
        assert np.abs(np.array([face["landmarks"] for face in faces]) - expected.landmarks).max() < 1e-3


def test_faces_of_a_file_equal_the_detectors_for_every_model_and_without_the_headers(page, files, url, group):
    path, image = group
    page.open(url)
    assert page.browser.evaluate("crossOriginIsolated")
    page.choose(path)
    for name in shipped():
        detector = Detector.load(name, overrides=["TEST.SCALES", [1.0]])
        page.put("model", name)
        page.wait(f"document.getElementById('facts').innerText.endsWith({json.dumps(title_of(files, name))})")
        assert page.found() == f"{len(detector.detect(image))} faces found"
        page.put("threshold", "0.02")
        kept = json.loads(page.kept("save-json").read_text())
        assert_the_same(kept["faces"], detector.detect(image, threshold=0.02))
        assert kept["landmarks"] is any("landmarks" in face for face in kept["faces"])
    assert is_clean(page, url)
    with served(files, threads=False) as bare:
        page.open(bare)
        assert not page.browser.evaluate("crossOriginIsolated")
        page.choose(path)
        page.found()
        page.put("threshold", "0.02")
        detector = Detector.load(SSH)
        assert_the_same(json.loads(page.kept("save-json").read_text())["faces"], detector.detect(image, threshold=0.02))
        assert is_clean(page, bare)


def title_of(files, name):
    return next(row["title"] for row in json.loads(files["site.json"])["models"] if row["name"] == name)


GIVE = """(async () => {
    const bytes = await (await fetch('%s')).blob(), transfer = new DataTransfer();
    transfer.items.add(new File([bytes], 'given.jpg', { type: 'image/jpeg' }));
    document.getElementById('stage').dispatchEvent(%s);
})()"""
DROP = "new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true })"
PASTE = "new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true, cancelable: true })"


def test_a_drop_a_paste_and_the_examples(page, url):
    page.open(url)
    assert page.text("count") == "No picture yet"
    page.browser.evaluate(GIVE % ("portrait.jpg", DROP))
    assert page.found() == "1 face found"
    page.browser.evaluate(GIVE % ("crowd.jpg", PASTE))
    page.wait("document.querySelectorAll('#faces li').length === 60 && document.getElementById('more').innerText")
    assert int(page.found().split()[0]) > 100
    page.click("example")
    page.wait("document.getElementById('count').textContent === '1 face found'")
    page.browser.evaluate("document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: new "
                          "DataTransfer(), bubbles: true }))")
    assert page.message() == "There is no picture in the clipboard."
    page.browser.evaluate("document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: new DataTransfer(), "
                          "bubbles: true }))")
    assert page.message().startswith("That was no file.")
    assert page.text("count") == "1 face found"
    assert is_clean(page, url)


def test_the_threshold_and_the_list_of_faces_follow_at_once(page, url, group):
    path, image = group
    page.open(url)
    page.choose(path)
    page.found()
    scores = Detector.load(SSH).detect(image, threshold=0.02).scores
    for threshold in (0.02, 0.3, 0.99):
        page.put("threshold", str(threshold))
        count = int((scores >= np.float32(threshold)).sum())
        assert page.text("count") == f"{count} {'face' if count == 1 else 'faces'} found"
        assert page.browser.evaluate("document.querySelectorAll('#faces button').length") == min(count, 60)
        assert page.text("threshold-value") == f"{threshold:.2f}"
    page.put("threshold", "0.5")
    before = page.browser.evaluate("document.getElementById('canvas').toDataURL()")
    page.browser.evaluate("document.querySelector('#faces button').click()")
    assert page.browser.evaluate("document.querySelector('#faces button').getAttribute('aria-pressed')") == "true"
    assert page.browser.evaluate("document.getElementById('canvas').toDataURL()") != before


def test_hidden_faces_keep_what_the_package_keeps(page, url, group):
    path, image = group
    page.open(url)
    page.choose(path)
    page.found()
    page.click("blur")
    assert page.text("threshold-value") == "0.20"  # TEST.HIDE_SCORE of SSH
    assert not page.browser.evaluate("document.getElementById('boxes').checked")
    assert "no detector finds every face" in page.text("note")
    faces = Detector.load(SSH).detect(image, threshold=0.2)
    saved = cv2.imread(str(page.kept("save")))[..., ::-1].astype(int)
    expected = hide(image, faces.boxes).astype(int)
    noise = np.random.default_rng(1).integers(0, 256, image.shape, np.uint8)
    hidden = (hide(noise, faces.boxes) != noise).any(axis=2)
    assert hidden.mean() > 0.03
    assert np.array_equal(saved[~hidden], image[~hidden])
    assert np.abs(saved - expected)[hidden].mean() < 6 < np.abs(saved - image)[hidden].mean()


def test_a_large_picture_is_made_smaller_for_the_net_and_the_page_says_so(page, url, group, tmp_path):
    _, image = group
    large = np.tile(image, (7, 4, 1))  # more than the page keeps
    cv2.imwrite(str(tmp_path / "large.jpg"), large[..., ::-1])
    page.open(url)
    page.choose(tmp_path / "large.jpg")
    page.found()
    assert "The file has 4,124 × 4,291 px; it is shown and saved at" in page.text("note")
    assert "made smaller for the detector" in page.text("note")
    assert "searched at 1,230 × 1,280 px" in page.text("facts")
    page.put("side", "640")
    page.wait("document.getElementById('facts').innerText.includes('searched at 615 × 640')")
    page.put("model", SSD)
    page.wait("document.getElementById('facts').innerText.includes('searched at 300 × 300')")
    assert page.browser.evaluate("document.getElementById('side').disabled")
    assert "made smaller" not in page.text("note")


def test_a_face_that_is_too_large_or_missing_is_said(page, url, tmp_path):
    collins = portraits()[1].image[:260, 90:350]
    cv2.imwrite(str(tmp_path / "selfie.png"), cv2.resize(collins, (1300, 1300))[..., ::-1])
    page.open(url)
    page.choose(tmp_path / "selfie.png")
    page.found()
    assert "A face is larger than this detector is made for." in page.text("note")
    page.put("side", "640")
    page.wait("document.getElementById('facts').innerText.includes('searched at 640 ×')")
    assert page.found() == "1 face found" and "larger than" not in page.text("note")
    page.put("threshold", "0.99")
    assert page.text("count") == "0 faces found" and "Nothing found: try a lower score" in page.text("note")


def test_a_picture_is_turned_by_its_orientation(page, url, group, tmp_path):
    ok, data = cv2.imencode(".jpg", np.ascontiguousarray(np.rot90(group[1]))[..., ::-1])
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # turn it clockwise
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (tmp_path / "turned.jpg").write_bytes(data[:2].tobytes() + segment + data[2:].tobytes())
    page.open(url)
    page.choose(tmp_path / "turned.jpg")
    assert page.found() == f"{len(Detector.load(SSH).detect(tmp_path / 'turned.jpg'))} faces found" == "2 faces found"
    assert page.text("facts").startswith("1,031 × 613 px")


def bad_files(folder):
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.txt").write_text("hello")
    (folder / "cut.png").write_bytes(cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes()[:40])
    (folder / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 50)
    (folder / "drawing.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    (folder / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + b"\0" * 50)
    header = b"IHDR" + (60000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    (folder / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + header
                                      + (crc32(header)).to_bytes(4, "big") + b"\0\0\0\0IDAT\0\0\0\0")
    return {"empty.jpg": "is empty", "text.txt": "is not a picture (text/plain)", "cut.png": "cannot be read",
            "photo.heic": "is a HEIC picture", "drawing.svg": "is a drawing (SVG)", "film.mp4": "is a video",
            "bomb.png": "60,000 × 60,000 px; this page takes at most 120 megapixels|cannot be read"}


def test_what_is_no_picture_is_said_in_words_and_the_next_one_works(page, url, group, tmp_path):
    page.open(url)
    for name, words in bad_files(tmp_path).items():
        page.choose(tmp_path / name)
        message = page.message()
        assert any(each in message for each in words.split("|")), (name, message)
        page.browser.evaluate("document.getElementById('message').hidden = true")
    cv2.imwrite(str(tmp_path / "dot.png"), np.full((1, 1, 3), 200, np.uint8))
    page.choose(tmp_path / "dot.png")
    assert page.found() == "0 faces found"
    page.choose(group[0])
    page.wait("document.getElementById('count').textContent === '2 faces found'")
    assert not page.shown("message")
    assert is_clean(page, url)


def test_the_camera_shows_faces_while_it_is_wanted_and_the_page_visible(page, url):
    page.open(url)
    page.browser.evaluate("""(() => {
        window.streams = [];
        const devices = navigator.mediaDevices, get = devices.getUserMedia.bind(devices);
        devices.getUserMedia = async wish => { const stream = await get(wish); streams.push(stream); return stream; };
        window.live = () => streams.flatMap(stream => stream.getTracks()).filter(track => track.readyState === 'live');
        window.hide = hidden => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
            document.dispatchEvent(new Event('visibilitychange')); };
    })()""")
    page.click("camera")
    page.wait("document.getElementById('count').textContent === '2 faces found'")
    page.wait("document.getElementById('facts').innerText.includes('frames/s')")
    assert page.text("facts").startswith("640 × 480 px") and page.text("camera") == "Stop"
    page.put("model", SSD)  # while frames run, and back at once
    page.put("model", SSH)
    page.put("model", "tiny_mobilenet_v1_025")
    page.wait("document.getElementById('facts').innerText.endsWith('Tiny Faces, one scale')")
    page.browser.evaluate("hide(true)")
    assert page.browser.evaluate("live().length") == 0
    page.browser.evaluate("hide(false)")
    page.wait("live().length === 1")
    page.wait("document.getElementById('facts').innerText.includes('frames/s')")
    page.click("camera")
    assert page.browser.evaluate("live().length") == 0 and page.text("camera") == "Camera"
    page.click("camera")
    page.click("example")  # a picture takes over
    page.wait("document.getElementById('count').textContent === '1 face found'")
    page.wait("live().length === 0")
    assert is_clean(page, url)


def test_a_camera_that_is_refused_or_missing_and_a_model_that_is_missing_are_said_in_words(page, files):
    with served({name: data for name, data in files.items() if name != f"models/{SSD}.onnx"}) as url:
        page.open(url)
        for error, words in (("NotAllowedError", "The camera was refused."), ("NotFoundError", "There is no camera.")):
            page.browser.evaluate("navigator.mediaDevices.getUserMedia = async () => "
                                  f"{{ throw new DOMException('', '{error}'); }}")
            page.click("camera")
            assert page.message().startswith(words)
        page.click("example")
        page.found()
        page.put("model", SSD)
        assert page.message().startswith("SSD cannot be loaded: ssd_mobilenet_v2_075.onnx: the server answered 404.")
        page.put("model", SSH)
        page.wait("document.getElementById('facts').innerText.endsWith('SSH')")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_is_cut_off_and_every_control_has_a_name(page, url, size):
    page.open(url, size, dark=size == PHONE)
    page.click("example")
    page.found()
    assert page.browser.evaluate(OVERFLOW) <= 0
    nameless = page.browser.evaluate("""[...document.querySelectorAll('button, input, select')].filter(control =>
        !(control.innerText || control.getAttribute('aria-label') || control.labels?.[0]?.innerText)).length""")
    assert nameless == 0
    grounds = page.browser.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)")
    assert (max(grounds) < 60) if size == PHONE else (min(grounds) > 200)
    box = page.browser.evaluate("(({ width, height }) => [width, height])"
                                "(document.getElementById('canvas').getBoundingClientRect())")
    assert box[0] / box[1] == pytest.approx(512 / 600, rel=0.01) and box[0] > 300


def test_a_graphics_card_that_cannot_is_left_alone(page, url):
    """This Chromium has no adapter."""
    page.open(url)
    page.click("example")
    page.found()
    assert not page.browser.evaluate("document.getElementById('webgpu').disabled")
    page.click("webgpu")
    page.wait("document.getElementById('note').innerText === "
              "'The graphics card cannot run this detector here. The processor does.'")
    assert page.found() == "1 face found"
    assert not page.browser.evaluate("document.getElementById('webgpu').checked")


def test_everything_can_be_reached_and_used_with_the_keyboard(page, url):
    def press(key, code):
        for kind in ("rawKeyDown", "char", "keyUp") if key != "Tab" else ("keyDown", "keyUp"):
            text = {"text": "\r"} if kind == "char" else {}
            page.browser.tab("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    page.open(url)
    seen = []
    while len(seen) < 12:
        press("Tab", 9)
        focused, outline = page.browser.evaluate("""(element => [element.id, getComputedStyle(element.id === 'file' ?
            document.querySelector('.button') : element).outlineStyle])(document.activeElement)""")
        seen.append(focused)
        assert outline == "solid"  # "": a face of the list
        if focused == "example":
            press("Enter", 13)
            assert page.found() == "1 face found"
    assert seen == ["file", "camera", "example", "", "save", "save-json", "model", "threshold", "side", "boxes",
                    "points", "blur"]
