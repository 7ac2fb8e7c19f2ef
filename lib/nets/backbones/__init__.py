"""Backbones: image batch in, feature maps out, by one signature. A new one is a module and a line in BACKBONES.

A backbone's module has TAPS (name, stride, channels of its outputs), STAGES (how many can be frozen), `build`; for
Keras' ImageNet weights `keras_source`, `keras_layer_name` and `from_keras`; for TF-Slim's `slim_scope`, and a line in
lib/weights/slim.py. An object with these parts serves as well, as those of resnet.py. See docs/backbones.md.
"""

from ...errors import InputError
from . import mobilenet_v1, mobilenet_v2, vgg16
from .resnet import resnet50, resnet101, resnet152

BACKBONES = {
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "resnet50": resnet50,
    "resnet101": resnet101,
    "resnet152": resnet152,
    "vgg16": vgg16,
}


def backbone_module(name):
    """Module of a backbone; raises InputError that names the known ones."""
    if name not in BACKBONES:
        raise InputError(f"NET.BACKBONE: found {name!r}, expected one of {', '.join(sorted(BACKBONES))}")
    return BACKBONES[name]


def build_backbone(name, images, cfg, preprocess=None):
    """Feature maps of the backbone `name`.

    images: (B, H, W, 3) KerasTensor, RGB 0..255. cfg: a mapping, the NET section of the config; a key that is not
    there takes the default of lib/config/keys.py. preprocess: of blocks.NORMALISATIONS, None: what its weights expect.
    Returns dict name of tap -> KerasTensor; the module's TAPS lists names, strides and channels.
    Raises InputError on an unknown backbone or variant, or more frozen stages than there are.
    """
    module = backbone_module(name)
    frozen = cfg.get("FROZEN_STAGES", 0)
    if not 0 <= frozen <= module.STAGES:
        raise InputError(f"NET.FROZEN_STAGES: found {frozen}, expected 0 to {module.STAGES} for {name}")
    return module.build(images, cfg, preprocess=preprocess)
