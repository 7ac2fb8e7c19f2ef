"""Pieces that backbones share: the normalisation of the input and batch normalisation that can be frozen."""

from keras import layers

IMAGENET_RGB_MEAN = (0.485, 0.456, 0.406)  # of values in 0..1
IMAGENET_RGB_STD = (0.229, 0.224, 0.225)
CAFFE_RGB_MEAN = (123.68, 116.779, 103.939)  # of values in 0..255; Caffe's nets name it in BGR order

NORMALISATIONS = {  # name: (scale, offset); the net sees image * scale + offset, RGB
    "none": (1.0, 0.0),
    "zero_to_one": (1 / 255, 0.0),
    "minus_one_to_one": (1 / 127.5, -1.0),
    "imagenet_torch": (
        [1 / (255 * std) for std in IMAGENET_RGB_STD],
        [-mean / std for mean, std in zip(IMAGENET_RGB_MEAN, IMAGENET_RGB_STD, strict=True)],
    ),
    "caffe_mean": (1.0, [-mean for mean in CAFFE_RGB_MEAN]),
}


def normalise(images, name):
    """Images (B, H, W, 3) RGB 0..255, integers or floats, as the weights expect them; name: of NORMALISATIONS."""
    scale, offset = NORMALISATIONS[name]
    return layers.Rescaling(scale, offset, name="normalise")(images)


def batch_norm(x, name, epsilon, frozen, synchronized):
    """Batch normalisation over the channels of x (B, H, W, C).

    frozen: the stored moments are used and nothing is trained. Keras does both for `trainable=False`; a
    `training=False` given here would not last, because a functional model passes its own `training` on.
    synchronized: moments of the whole batch, over all devices.
    """
    return layers.BatchNormalization(epsilon=epsilon, synchronized=synchronized, trainable=not frozen, name=name)(x)
