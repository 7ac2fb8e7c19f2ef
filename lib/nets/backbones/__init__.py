"""Backbones: image batch in, feature maps out, by one signature. A new one is a module and a line in BACKBONES.

A backbone's module has TAPS (name, stride, channels of its outputs), STAGES (how many can be frozen), `build`; for
Keras' ImageNet weights `keras_source`, `keras_layer_name` and `from_keras`; for TF-Slim's `slim_scope`, and a line in
lib/weights/slim.py. An object with these parts serves as well, as in resnet.py. See docs/backbones.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ..registry import Registry

if TYPE_CHECKING:
    import keras

BACKBONES = Registry("NET.BACKBONE", __name__, {
    "mobilenet_v1": ".mobilenet_v1",
    "mobilenet_v2": ".mobilenet_v2",
    "resnet50": ".resnet:resnet50",
    "resnet101": ".resnet:resnet101",
    "resnet152": ".resnet:resnet152",
    "vgg16": ".vgg16",
})


def register_backbone(name: str, backbone: Any) -> None:
    """Make a backbone of your own known under a name that NET.BACKBONE of a config may then hold.

    Args:
        backbone: a module or object with `build`, TAPS and STAGES, as the docstring of this module says.

    Raises:
        InputError: one of these parts is missing, or the name is taken by another.
    """
    missing = [part for part in ("build", "TAPS", "STAGES") if not hasattr(backbone, part)]
    if missing:
        raise InputError(f"NET.BACKBONE {name!r}: {backbone!r} has no {', '.join(missing)}; see docs/backbones.md")
    BACKBONES.register(name, backbone)


def backbone_module(name: str) -> Any:
    """Module or object of a backbone.

    Raises:
        InputError: the name is not registered; lists those that are.
    """
    return BACKBONES.find(name)


def build_backbone(name: str, images: keras.KerasTensor, cfg: Mapping[str, Any],
                   preprocess: str | None = None) -> dict[str, keras.KerasTensor]:
    """Feature maps of the backbone `name`.

    Args:
        images: (B, H, W, 3), RGB 0..255.
        cfg: the NET section of the config. A missing key takes the default of lib/config/keys.py.
        preprocess: a key of blocks.NORMALISATIONS; None: NET.NORMALISE, or what the backbone's weights expect.

    Returns:
        Maps by the name of the tap. TAPS of the module lists names, strides and channels.

    Raises:
        InputError: unknown backbone, variant or normalisation, or more frozen stages than there are.
    """
    module = backbone_module(name)
    frozen = cfg.get("FROZEN_STAGES", 0)
    if not 0 <= frozen <= module.STAGES:
        raise InputError(f"NET.FROZEN_STAGES: found {frozen}, expected 0 to {module.STAGES} for {name}")
    return module.build(images, cfg, preprocess=preprocess or cfg.get("NORMALISE") or None)
