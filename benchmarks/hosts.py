"""What a training on several hosts sends over the network per step: counted from the nets, nothing is trained.

Each process sends its gradient and takes part in the moments of each batch normalisation that learns. A ring of N
processes sends 2 (N - 1) / N of that from each of them.
"""

from __future__ import annotations

from math import prod

from manyfaces.config import load_config

from .timing import Table

NETS = ("mtcnn_pnet", "mtcnn_rnet", "mtcnn_onet", "ssh_mobilenet_v1_025", "tiny_mobilenet_v1_025",
        "ssd_mobilenet_v2_075", "grid_mobilenet_v2_100", "tiny_resnet101", "ssh_vgg16")
WORLDS = 2, 4, 8  # processes
GIGABIT = 1e9 / 8  # bytes/s


def reduced(cfg) -> tuple[int, int]:
    """(bytes of the gradients, bytes of the moments) that are summed over the processes in a step of a config.

    The moments are sum, sum of squares and count per layer, and the gradients of both sums on the way back.
    """
    from manyfaces.nets import backend, family
    from manyfaces.nets.flops import flat_layers

    keras = backend.prepare()
    net = family(cfg)
    model = net.build()
    updates = len(net.modules) if cfg.TRAIN.MODE == "group" else 1
    gradients = 4 * updates * sum(prod(variable.shape) for variable in model.trainable_variables)
    learning = [layer for layer in flat_layers(model) if isinstance(layer, keras.layers.BatchNormalization)
                and layer.trainable]
    moments = 4 * sum(4 * layer.moving_mean.shape[0] + 1 for layer in learning)
    keras.backend.clear_session()
    return gradients, moments


def run(names=NETS) -> list[Table]:
    """The table of what goes over the network."""
    columns = ["MB a step", "of which moments", *(f"MB sent by each of {world}" for world in WORLDS),
               "ms on 1 Gbit/s, 2 hosts", "ms on 10 Gbit/s, 2 hosts", "images a step"]
    table = Table("Several hosts: what is summed over the network per step", ["net", *columns],
                  note="MB are 10^6 bytes. A ring of N sends 2 (N - 1) / N of the sum from each host; ms are its bytes "
                  "by the rate of the line alone. No pixel is sent: each host reads its share of the images.")
    for name in names:
        cfg = load_config(name)
        gradients, moments = reduced(cfg)
        total = gradients + moments
        sent = {world: 2 * (world - 1) / world * total for world in WORLDS}
        table.rows.append([name, f"{total / 1e6:.2f}", f"{moments / 1e6:.2f}",
                           *(f"{sent[world] / 1e6:.2f}" for world in WORLDS), f"{sent[2] / GIGABIT * 1e3:.1f}",
                           f"{sent[2] / GIGABIT * 1e2:.1f}", cfg.TRAIN.BATCH])
    return [table]
