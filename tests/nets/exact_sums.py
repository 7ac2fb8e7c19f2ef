"""Train a net whose gradients TensorFlow would add in any order.

exact_sums.py RUNS prints what `run` gives for one run without TRAIN.DETERMINISTIC and for RUNS with it, as JSON.
"""

import hashlib
import json
import sys

import numpy as np

HEADS = 6


def net():
    """One map of 256 x 256 px with some heads: its gradient is a sum of as many tensors of 33 MB."""
    import keras
    from keras import layers

    images = keras.Input((256, 256, 3))
    shared = layers.Conv2D(32, 1, name="shared")(images)
    heads = {f"head{i}": layers.Conv2D(1, 1, name=f"head{i}")(layers.ReLU()(shared)) for i in range(HEADS)}
    return keras.Model(images, heads)


def run(deterministic, runs):
    """(hash of the weights after one step from the same weights, for each run; operations of the step)."""
    from manyfaces.nets import backend

    keras = backend.prepare(0, deterministic)
    from keras import ops
    from tensorflow.python.eager import context

    model = net()
    optimizer = keras.optimizers.SGD(0.01)
    optimizer.build(model.trainable_variables)

    def objectives(outputs, targets, variables, weights):
        losses = {name: ops.mean(ops.square(value - targets["wanted"]), axis=(1, 2, 3)) for name, value in
                  outputs.items()}
        return [sum(ops.mean(loss) for loss in losses.values())], losses

    step = backend.train_step(model, None, optimizer, objectives, 0.0)
    rng, first, hashes = np.random.default_rng(0), model.get_weights(), []
    images = rng.integers(0, 256, (4, 256, 256, 3), np.uint8)
    targets = {"wanted": rng.normal(size=(4, 256, 256, 1)).astype(np.float32)}
    context.context().enable_graph_collection()
    for _ in range(runs):
        model.set_weights(first)
        step(images, targets, np.ones(1, np.float32), 0.0)
        weights = b"".join(np.ascontiguousarray(value).tobytes() for value in model.get_weights())
        hashes.append(hashlib.sha256(weights).hexdigest())
    graphs = context.context().export_run_metadata().partition_graphs
    context.context().disable_graph_collection()
    return hashes, sorted({node.op for graph in graphs for node in graph.node})


if __name__ == "__main__":
    print(json.dumps([run(False, 1), run(True, int(sys.argv[1]))]))
