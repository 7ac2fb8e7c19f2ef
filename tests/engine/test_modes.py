"""Training modes computed by hand: joint, random and group; clipping, the average of weights, weights of sources."""

import numpy as np
import pytest
from tiny_training import numbers, rows, scenes_folder, trainer, write_scenes

pytestmark = pytest.mark.slow

pytest.importorskip("tensorflow", reason="gradients are taken with TensorFlow here")
scenes = pytest.fixture(scenes_folder, scope="module")


def gradients_by_hand(run, step):
    """The batch of a step, and the gradients of each module's loss (with weight decay) at the current weights."""
    import tensorflow as tf

    batch = run.loader.batch(step)
    batch.pop("names")
    images = tf.cast(batch.pop("images"), tf.float32)
    kernels = [v for v in run.model.trainable_variables if v.path.endswith("kernel")]
    values = [v.value for v in run.model.trainable_variables]
    parts = []
    for module in ("m1", "m2", "m3"):
        with tf.GradientTape() as tape:
            losses = run.family.losses(batch, run.model(images, training=True))
            mean = sum(tf.reduce_mean(value) for name, value in losses.items() if name.startswith(module))
            decay = run.cfg.LOSS.WEIGHT_DECAY * sum(tf.reduce_sum(v.value**2) for v in kernels) / 2
            total = mean + decay
        parts.append([g.numpy() for g in tape.gradient(total, values, unconnected_gradients="zero")])
    return parts


SGD = {"TRAIN__OPTIMIZER": "sgd", "TRAIN__EMA": 0.0, "TRAIN__CLIP_NORM": 0.0, "TRAIN__RATE": 0.01,
       "TRAIN__SCHEDULE": "steps", "LOSS__WEIGHT_DECAY": 0.01, "TRAIN__STEPS": 2, "LOADER__PREFETCH": 0}


def trained_by_hand(run, updates_of):
    """The weights after two steps of SGD with momentum 0.9; updates_of(step, parts) gives the gradients in order."""
    weights = numbers(run.model.trainable_variables)
    speed = [np.zeros_like(w) for w in weights]
    for step in range(2):
        for variable, value in zip(run.model.trainable_variables, weights, strict=True):
            variable.assign(value)
        for update in updates_of(step, gradients_by_hand(run, step)):
            speed = [0.9 * s - 0.01 * g for s, g in zip(speed, update, strict=True)]
            weights = [w + s for w, s in zip(weights, speed, strict=True)]
    return weights


def by_hand_and_trained(scenes, name, updates_of, **changes):
    hand = trained_by_hand(trainer(scenes, f"{name}_by_hand", **{**SGD, **changes}), updates_of)
    run = trainer(scenes, name, **{**SGD, **changes})
    start = numbers(run.model.trainable_variables)
    run.run()
    return start, hand, numbers(run.model.trainable_variables), run


def furthest(first, second):
    return max(np.abs(a - b).max() for a, b in zip(first, second, strict=True))


def summed(parts, decay):
    """The gradient of the sum with one weight decay: each part contains one."""
    return [sum(g) - 2 * d for *g, d in zip(*parts, decay, strict=True)]


def test_group_is_three_updates_at_the_same_weights_and_joint_is_one(scenes):
    start, hand, found, run = by_hand_and_trained(scenes, "group", lambda step, parts: parts, TRAIN__MODE="group")
    assert furthest(start, found) > 0.01
    assert furthest(hand, found) < 1e-5
    kernels = [v.path.endswith("kernel") for v in run.model.trainable_variables]

    def joint_update(step, parts):
        # The decay of a kernel is 0.01 times itself; the three parts would count it three times.
        values = numbers(joint_run.model.trainable_variables)
        return [summed(parts, [0.01 * w * k for w, k in zip(values, kernels, strict=True)])]

    joint_run = trainer(scenes, "joint_by_hand", TRAIN__MODE="joint", **SGD)
    hand = trained_by_hand(joint_run, joint_update)
    joint = trainer(scenes, "joint", TRAIN__MODE="joint", **SGD)
    joint.run()
    joint_found = numbers(joint.model.trainable_variables)
    assert furthest(hand, joint_found) < 1e-5
    assert furthest(joint_found, found) > 1e-3, "group is not the sum"


def test_random_changes_only_the_heads_of_the_chosen_module(scenes):
    changes = {"TRAIN__MODE": "random", **SGD, "LOSS__WEIGHT_DECAY": 0.0, "TRAIN__STEPS": 1}
    chosen = set()
    for seed in (1, 3):
        run = trainer(scenes, f"random_{seed}", SEED=seed, **changes)
        weights = [run._module_weights(step) for step in range(30)]
        assert all(sorted(part) == [0, 0, 1] for part in weights)
        assert 5 <= min(np.sum(weights, axis=0)), "all modules have their turn"
        module = f"m{int(np.argmax(weights[0])) + 1}"
        before = numbers(run.model.trainable_variables)
        run.run()
        moved = {v.path.split("/")[0] for v, old in zip(run.model.trainable_variables, before, strict=True)
                 if (v.numpy() != old).any()}
        heads = {name for name in moved if name.startswith(("m1_", "m2_", "m3_"))}
        assert heads and all(name.startswith(f"{module}_") for name in heads)
        assert "conv1" in moved, "the backbone learns from every module"
        chosen.add(module)
    assert len(chosen) > 1


def test_gradients_are_clipped_as_a_whole(scenes):
    def clipped(step, parts):
        for part in parts:
            norm = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in part))
            assert norm > 0.05
            yield [g * 0.05 / norm for g in part]

    changes = {"TRAIN__MODE": "group", "TRAIN__CLIP_NORM": 0.05}
    _, hand, found, _ = by_hand_and_trained(scenes, "clipped", clipped, **changes)
    assert furthest(hand, found) < 1e-6
    logged = rows(scenes / "output/clipped/train.csv")
    assert float(logged[-1]["norm"]) > 0.05, "the log has the norm before clipping"


def test_the_average_follows_the_weights(scenes):
    run = trainer(scenes, "averaged", TRAIN__STEPS=3, TRAIN__EMA=0.5)
    means, one_step = numbers(run.model.variables), run.train_step

    def follow(images, targets, weights, momentum):
        nonlocal means
        result = one_step(images, targets, weights, momentum)
        expected = min(0.5, (1 + run.step) / (10 + run.step))
        assert momentum == pytest.approx(expected)
        means = [momentum * m + (1 - momentum) * v for m, v in zip(means, numbers(run.model.variables), strict=True)]
        return result

    run.train_step = follow
    run.run()
    assert furthest(means, numbers(run.average.variables)) < 1e-5
    assert furthest(numbers(run.model.variables), numbers(run.average.variables)) > 1e-4


def test_sources_have_weights(scenes):
    if not (scenes / "data/pickles/second.pkl").exists():
        write_scenes(scenes, "second", count=6, seed=1)
    run = trainer(scenes, "weighted", TRAIN__DATASETS="scenes+second", TRAIN__DATASET_WEIGHTS="[2.0, 0.5]")
    assert run.loader.size == 2 * 9 + 3
    counts = np.bincount(run.loader.order(0), minlength=15)
    assert counts[:9].tolist() == [2] * 9 and counts[9:].sum() == 3
