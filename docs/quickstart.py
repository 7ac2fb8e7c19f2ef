# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Quickstart
#
# Faces in a photograph, in a minute. You need manyfaces without any extra: no TensorFlow. Run this file
# (`python docs/quickstart.py`), or open it as a notebook: Jupyter with jupytext reads it as it is.

# %%
from pathlib import Path

import cv2

from manyfaces import Detections, Detector, pretrained
from manyfaces.datasets.toy.portraits import portraits

photo = portraits()[0].image  # (600, 512, 3) uint8 RGB; or the path of a photograph of yours

# %% [markdown]
# ## Find the faces
#
# A detector is loaded once. `detect` takes a path, bytes, an RGB array or a PIL image, and returns what a person would
# call faces. `threshold=0.1` asks for more.

# %%
detector = Detector.load("ssh_mobilenet_v1_025")
faces = detector.detect(photo)
for face in faces:
    print(f"score {face.score:.2f}, box {face.box.round().tolist()}, nose {face.landmarks[2].round().tolist()}")

# %% [markdown]
# Boxes are x1, y1, x2, y2 in pixels of the photograph. The five points are the eyes, the nose and the corners of the
# mouth.
#
# ## Use them
#
# Draw the boxes, cut the faces out, or turn each upright as face recognition needs it.

# %%
drawn = faces.draw(photo)
crops = faces.crop(photo, margin=0.2)
upright = faces.align(photo, size=112)
print("drawn:", drawn.shape, "crops:", [crop.shape for crop in crops], "upright:", upright.shape)

out = Path("output/quickstart")
out.mkdir(parents=True, exist_ok=True)
cv2.imwrite(str(out / "drawn.jpg"), drawn[..., ::-1])  # OpenCV writes BGR

# %% [markdown]
# JSON keeps every digit, so the faces come back as they were.

# %%
text = faces.to_json()
same = Detections.from_json(text)
print(text[:80], "...", (same.boxes == faces.boxes).all())

# %% [markdown]
# ## Choose another detector
#
# Each family has a detector that ships. The [gallery](gallery.md) shows what each is good at.

# %%
for name in pretrained.names():
    found = Detector.load(name).detect(photo)
    print(f"{name:24} {len(found)} faces, {sum(found.times.values()):.0f} ms")

# %% [markdown]
# ## Next
#
# - On the command line: `manyfaces detect photo.jpg`.
# - [As a library](library.md): folders, several processes, precision, all options.
# - [Deploy it](deploy.md) with another runtime, or without this package.
# - [Measure it](evaluation.md) on your own images before you trust it.
