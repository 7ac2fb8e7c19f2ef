"""Backbones: image batch in, feature maps out, by one signature. A new one is a module and a line in BACKBONES."""

from ...errors import InputError
from . import mobilenet_v1 as _mobilenet_v1

BACKBONES = {"mobilenet_v1": _mobilenet_v1}


def backbone_module(name):
    """Module of a backbone; raises InputError that names the known ones."""
    if name not in BACKBONES:
        raise InputError(f"NET.BACKBONE: found {name!r}, expected one of {', '.join(sorted(BACKBONES))}")
    return BACKBONES[name]


def build_backbone(name, images, cfg, preprocess=None, synchronized_bn=False):
    """Feature maps of the backbone `name`.

    images: (B, H, W, 3) KerasTensor, RGB 0..255. cfg: a mapping, the NET section of the config; a key that is not
    there takes the default of lib/config.py. preprocess: of blocks.NORMALISATIONS, None: what its weights expect.
    Returns OrderedDict name of tap -> KerasTensor; the module's TAPS lists names, strides and channels.
    Raises InputError on an unknown backbone or variant.
    """
    return backbone_module(name).build(images, cfg, preprocess=preprocess, synchronized_bn=synchronized_bn)
