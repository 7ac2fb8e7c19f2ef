"""Several devices for one training: each takes the same share of every batch, and all hold the same weights.

TensorFlow mirrors the variables (tf.distribute.MirroredStrategy), JAX shards the batch. Where there is no GPU, the CPU
is split into several logical devices: no faster than one, but the code path can be tried and tested.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cascade.lanes import cores
from ..errors import InputError


class Sent(dict):
    """A batch as arrays by name, and what `split` of the devices made of it before it was needed.

    Attributes:
        on_devices: what `split` gave.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], on_devices: Any) -> None:
        super().__init__(arrays)
        self.on_devices = on_devices


def find_devices(count: int = 1) -> MirroredDevices | ShardedDevices:
    """The first `count` devices of Keras' backend: GPUs where there are any, else logical devices of the CPU.

    Where there is no GPU, this must come before the first operation of the backend.

    Raises:
        InputError: there are fewer, or the backend cannot train.
    """
    import keras

    kinds: dict[str, type[MirroredDevices | ShardedDevices]] = {"tensorflow": MirroredDevices, "jax": ShardedDevices}
    backend = keras.backend.backend()
    if backend not in kinds:
        raise InputError(f"KERAS_BACKEND={backend} cannot train here; expected {' or '.join(kinds)}")
    return kinds[backend](count)


def _too_few(count, found, kind, hint):
    return InputError(f"--devices {count}: found {found} {kind}; expected at most {found}{hint}")


def _in_words(count, kind):
    if count == 1:
        return f"1 {kind}" if kind != "CPU" else f"{cores()} cores of the CPU" if cores() > 1 else "1 core of the CPU"
    return f"{count} logical devices of the CPU (no faster than one)" if kind == "CPU" else f"{count} {kind}s"


@functools.cache  # TensorFlow knows each sum over devices by a number, and a second strategy would use the same again
def _mirrored(kind, count):
    import tensorflow as tf

    return tf.distribute.MirroredStrategy([f"{kind}:{i}" for i in range(count)])


class MirroredDevices:
    """TensorFlow: every variable exists on each device. One device has the default strategy, which changes nothing."""

    def __init__(self, count):
        import tensorflow as tf

        self.count, self.kind = count, "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
        if count == 1:
            self.strategy = tf.distribute.get_strategy()
            return
        if self.kind == "CPU":
            (cpu,) = tf.config.list_physical_devices("CPU")
            with contextlib.suppress(RuntimeError, ValueError):  # it has begun: what there is decides
                tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
        found = len(tf.config.list_logical_devices(self.kind))
        if found < count:
            raise _too_few(count, found, f"{self.kind}s", " (CUDA_VISIBLE_DEVICES may hide some)" if self.kind == "GPU"
                           else " once TensorFlow has begun: ask for them before anything else uses it")
        self.strategy = _mirrored(self.kind, count)

    def __str__(self):
        return _in_words(self.count, self.kind)

    def scope(self):
        """Context in which the variables of nets and optimizers are made."""
        return self.strategy.scope() if self.count > 1 else contextlib.nullcontext()

    def synchronise(self, model):
        """Every trained batch normalisation, in any part of the net, takes the moments of the whole batch."""
        import keras

        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = self.count > 1

    def split(self, values):
        """Arrays (B, ...) by name -> the same with an equal share of the batch on each device."""
        import tensorflow as tf

        if self.count == 1:
            with tf.device(f"{self.kind}:0"):
                return {key: tf.convert_to_tensor(value) for key, value in values.items()}

        def share(context):
            number = context.replica_id_in_sync_group
            with tf.device(self.strategy.extended.worker_devices[number]):
                return {key: tf.convert_to_tensor(np.split(value, self.count)[number]) for key, value in values.items()}

        return self.strategy.experimental_distribute_values_from_function(share)

    def join(self, value):
        """What each device gave for its share, (B / count, ...), as one array (B, ...) in the order of the batch."""
        parts = [part.numpy() for part in self.strategy.experimental_local_results(value)]
        return parts[0] if self.count == 1 else np.concatenate(parts)


class ShardedDevices:
    """JAX: the compiled step takes the whole batch, and the compiler cuts it. Nothing else differs from one device."""

    def __init__(self, count):
        import jax

        if count > 1:
            with contextlib.suppress(RuntimeError, AttributeError):  # JAX has begun, or is older than the option
                jax.config.update("jax_num_cpu_devices", count)
        self.count, found = count, jax.devices()
        self.kind = found[0].platform.upper()
        if len(found) < count:
            raise _too_few(count, len(found), f"{self.kind}s", "" if self.kind != "CPU" else " once JAX has begun: ask "
                           f"for them before anything else uses it, or set XLA_FLAGS=--xla_force_host_platform_device_"
                           f"count={count}")
        mesh = jax.sharding.Mesh(np.array(found[:count]), ("batch",))
        self.everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
        self.shared = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("batch"))

    def __str__(self):
        return _in_words(self.count, self.kind)

    def scope(self):
        """Context in which the variables of nets and optimizers are made."""
        return contextlib.nullcontext()

    def synchronise(self, model):
        """Nothing to do: the moments of a step are of the batch as the program has it, which is whole."""

    def split(self, values):
        """Arrays (B, ...) by name -> the same with an equal share of the batch on each device."""
        import jax

        return {key: jax.device_put(value, self.shared) for key, value in values.items()}
