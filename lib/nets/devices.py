"""Several devices for one training: each takes the same share of every batch, and all hold the same weights.

TensorFlow mirrors the variables (tf.distribute.MirroredStrategy), JAX shards the batch. Where there is no GPU, the CPU
is split into several logical devices: no faster than one, but the code path can be tried and tested.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..cascade.lanes import cores
from ..errors import InputError

if TYPE_CHECKING:
    from ..hosts.team import Team


class Sent(dict):
    """A batch as arrays by name, and what `split` of the devices made of it before it was needed.

    Attributes:
        on_devices: what `split` gave.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], on_devices: Any) -> None:
        super().__init__(arrays)
        self.on_devices = on_devices


TRAINING = "tensorflow", "jax"
"""Backends of Keras that train."""


def check_backend(name: str | None = None) -> str:
    """Return the backend of Keras that is to train: `name`, else that of the environment, before Keras imports it.

    Raises:
        InputError: it cannot train.
    """
    name = name or os.environ.get("KERAS_BACKEND") or TRAINING[0]
    if name not in TRAINING:
        raise InputError(f"KERAS_BACKEND={name} cannot train here; expected {' or '.join(TRAINING)}")
    return name


def find_devices(count: int = 1, team: Team | None = None) -> MirroredDevices | ShardedDevices:
    """The first `count` devices of Keras' backend: GPUs where there are any, else logical devices of the CPU.

    Where there is no GPU, this must come before the first operation of the backend.

    Args:
        count: number of devices.
        team: the processes that train together. Each of them has one device, and `count` is not used.

    Raises:
        InputError: there are fewer, or the backend cannot train.
    """
    import keras

    kinds: dict[str, type[MirroredDevices | ShardedDevices]] = {"tensorflow": MirroredDevices, "jax": ShardedDevices}
    backend = check_backend(keras.backend.backend())
    if team:
        return (MirroredHosts if backend == "tensorflow" else ShardedHosts)(team)
    return kinds[backend](count)


def _own_gpu(gpus, local):
    """The GPU of a process, by its number among those of its host. Where it sees only one, that was chosen for it."""
    if local < len(gpus) or len(gpus) == 1:
        return gpus[min(local, len(gpus) - 1)]
    raise InputError(f"--hosts: found {len(gpus)} GPUs, this is process {local + 1} of this host; expected at most one "
                     f"process per GPU")


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

    def sums_again(self, optimizer):
        """How often Keras adds a gradient to itself that is a sum over the devices already: it sums over them too."""
        return self.count

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


class MirroredHosts(MirroredDevices):
    """TensorFlow on several hosts: every process holds all variables on its device, and takes its share of a batch.

    Attributes:
        count: number of processes, which is that of devices.
    """

    def __init__(self, team):
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        self.count, self.kind = team.world, "GPU" if gpus else "CPU"
        if gpus:
            tf.config.set_visible_devices(_own_gpu(gpus, team.place.local), "GPU")
        kinds = tf.distribute.experimental.CommunicationImplementation
        options = tf.distribute.experimental.CommunicationOptions(implementation=kinds.NCCL if gpus else kinds.RING)
        # Not TF_CONFIG: the team has agreed on its addresses, whoever described it.
        cluster = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": team.addresses}), task_type="worker", task_id=team.rank, rpc_layer="grpc",
            num_accelerators={"GPU": 1} if gpus else {})
        self.strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster, options)

    def __str__(self):
        return f"{self.count} processes with {_in_words(1, self.kind)} each"

    def sums_again(self, optimizer):
        """Once: Keras' own sum is left out, because it would double what goes over the network."""
        if not hasattr(optimizer, "_all_reduce_sum_gradients"):  # a Keras that sums elsewhere
            return self.count
        optimizer._all_reduce_sum_gradients = lambda pairs: pairs
        return 1

    def split(self, values):
        """The share of this process: the loader has made no more."""
        import tensorflow as tf

        with tf.device(self.strategy.extended.worker_devices[0]):
            return {key: tf.convert_to_tensor(value) for key, value in values.items()}

    def join(self, value):
        """The share of this process, (B / count, ...)."""
        return self.strategy.experimental_local_results(value)[0].numpy()


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

    def split(self, values):
        """Arrays (B, ...) by name -> the same with an equal share of the batch on each device."""
        import jax

        return {key: jax.device_put(value, self.shared) for key, value in values.items()}

    def copy(self, values):
        """Arrays that every device holds, where the step leaves them: elsewhere JAX would compile it again for them."""
        import jax

        return [value if value.sharding == self.everywhere else jax.device_put(value, self.everywhere)
                for value in values]

    def join(self, value):
        """A result of the step for each image, in the order of the batch."""
        return np.asarray(value)

    def synchronise(self, model):
        """Nothing to do: the moments of a step are of the batch as the program has it, which is whole."""


class ShardedHosts(ShardedDevices):
    """JAX on several hosts: each process gives its share of the batch, and the compiler sees the whole one.

    Attributes:
        count: number of processes, which is that of devices.
    """

    def __init__(self, team):
        import jax

        from ..hosts.jax_service import coordinated

        jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM from the training
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        chosen = "," not in os.environ.get("CUDA_VISIBLE_DEVICES", ",")  # one GPU, for this process
        with coordinated(team) as address:
            jax.distributed.initialize(address, team.world, team.rank, [0 if chosen else team.place.local],
                                       cluster_detection_method="deactivate")
        self.count, self.kind = team.world, jax.local_devices()[0].platform.upper()
        firsts = {}
        for device in jax.devices():
            firsts.setdefault(device.process_index, device)
        mesh = jax.sharding.Mesh(np.array([firsts[rank] for rank in range(team.world)]), ("batch",))
        self.everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
        self.shared = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("batch"))

    def __str__(self):
        return f"{self.count} processes with {_in_words(1, self.kind)} each"

    def split(self, values):
        """The whole batch, of which this process gives its share."""
        import jax

        return {key: jax.make_array_from_process_local_data(self.shared, value) for key, value in values.items()}

    def copy(self, values):
        """The same values on all devices; each process gives its own copy, which must be the same."""
        import jax

        return [value if value.sharding == self.everywhere else
                jax.make_array_from_process_local_data(self.everywhere, np.asarray(value)) for value in values]

    def join(self, value):
        """The share of this process, (B / count, ...)."""
        return np.concatenate([np.asarray(shard.data) for shard in value.addressable_shards])
