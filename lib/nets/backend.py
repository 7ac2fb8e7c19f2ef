"""The differences between Keras' backends in one place: set-up, inference on any size, the compiled training step.

TensorFlow and JAX train. PyTorch runs inference.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import tempfile
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from .devices import MirroredDevices, Sent, ShardedDevices, find_devices

if TYPE_CHECKING:
    import keras

    from ..engine.precision import Precision


def prepare(seed: int | None = None, deterministic: bool = False) -> ModuleType:
    """Import Keras quietly, and let GPU memory grow as needed.

    Args:
        seed: initial weights and operations repeat; None: they do not.
        deterministic: operations give the same bits in every run.

    Returns:
        The module keras.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX too takes GPU memory as needed
    if deterministic and os.environ.get("KERAS_BACKEND") == "jax":  # read when JAX looks for its devices
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()
    with _quietly():
        import keras

        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            for gpu in tf.config.list_physical_devices("GPU"):
                try:
                    tf.config.experimental.set_memory_growth(gpu, True)
                except RuntimeError:
                    pass  # the device is in use already, with its first setting
    if deterministic and keras.backend.backend() == "tensorflow":
        tf.config.experimental.enable_op_determinism()
        _keep_order_of_sums()
    if seed is not None:
        keras.utils.set_random_seed(seed)
    return keras


def _keep_order_of_sums():
    """Keep TensorFlow from adding gradients in the order in which they are ready, which differs on a busy machine.

    Where a graph needs more than 0.8 of a device's memory, which TensorFlow takes to be 256 MiB for the CPU, its memory
    optimizer replaces a sum of more than two tensors by additions to a variable in any order. op_determinism does not
    prevent that, and no public option turns this optimizer off alone. It costs no time to do without it.
    """
    from tensorflow.core.protobuf import rewriter_config_pb2
    from tensorflow.python.eager import context

    config = context.context().config
    config.graph_options.rewrite_options.memory_optimization = rewriter_config_pb2.RewriterConfig.NO_MEM_OPT
    context.context().function_call_options = context.FunctionCallOptions(config_proto=config)


@contextlib.contextmanager
def _quietly():
    """Hold back what TensorFlow's C++ writes while it loads, which no setting silences; show it if loading fails.

    Where TF_CPP_MIN_LOG_LEVEL is set, everything is shown.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        except BaseException:
            file.seek(0)
            os.write(kept, file.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


class Runner:
    """A net as a function images (B, H, W, 3) uint8 or float -> dict of NumPy maps. It stays in its process."""

    def __init__(self, call: Callable[[np.ndarray], dict[str, np.ndarray]]) -> None:
        self.call = call

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return self.call(images)

    def __reduce__(self) -> str:
        raise InputError("a Keras net in memory cannot be copied or given to another process; save its weights, then "
                         "load them there with Detector.load")


def runner(model: keras.Model) -> Runner:
    """The net as a function, compiled once for all sizes."""
    return Runner(_call(model))


def _call(model):
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)], autograph=False)
        def forward(images):
            return model(images, training=False)

        return lambda images: {k: v.numpy() for k, v in forward(np.asarray(images, np.float32)).items()}
    if backend == "jax":
        return _jax_runner(model)
    return lambda images: {k: keras.ops.convert_to_numpy(v)
                           for k, v in model(np.asarray(images, np.float32), training=False).items()}


def _jax_runner(model, multiple=128):
    """JAX compiles again for each size, so sizes are rounded up to few; cells beyond the image are cut off again.

    A net that does not pad its images itself runs at each size: it would otherwise receive grey where an image ends.
    """
    import jax

    from ..constants import FILL
    from .layers import PadToMultiple

    own = next((layer.multiple for layer in model.layers if isinstance(layer, PadToMultiple)), None)
    multiple = multiple if own else 1

    @jax.jit
    def forward(trainable, fixed, images):
        return model.stateless_call(trainable, fixed, images, training=False)[0]

    def run(images):
        images = np.asarray(images, np.float32)
        height, width = images.shape[1:3]
        pads = ((0, 0), (0, -height % multiple), (0, -width % multiple), (0, 0))
        padded = np.pad(images, pads, constant_values=FILL)
        values = [[_own_copy(v.value) for v in group]
                  for group in (model.trainable_variables, model.non_trainable_variables)]
        outputs = {}
        for name, value in forward(*values, padded).items():
            outputs[name] = np.asarray(value)
            if own:
                stride = padded.shape[1] // value.shape[1]
                rows, columns = (-(-side // own) * own // stride for side in (height, width))
                outputs[name] = outputs[name][:, :rows, :columns]
        return outputs

    return run


def _own_copy(value):
    """An array of JAX that other processes hold too, as this one holds it: they do not take part in what follows."""
    return value if value.is_fully_addressable else value.addressable_data(0)


def train_step(model: keras.Model, average: keras.Model | None, optimizer: keras.Optimizer,
               objectives: Callable, clip_norm: float,
               devices: MirroredDevices | ShardedDevices | None = None, precision: Precision | None = None) -> Callable:
    """Compile a step of the training.

    The gradients of all scalars are taken at the same weights, then applied one after the other. One scalar is the
    usual step; three are SSH's `group` training. Norm and clipping are those of the whole gradient.

    Args:
        average: follows the weights with the momentum of each step; None: no moving average.
        objectives: function (outputs, targets, variables, weights) -> (list of scalars, dict of losses (B,)). A scalar
            must be a mean over images plus terms that no image decides: its mean over devices with equal shares is then
            that of the batch.
        clip_norm: of the gradient; 0: no clipping.
        devices: those of devices.find_devices; None: one.
        precision: the type in which the net computes; None: float32. With a scaled loss a step whose gradient is not
            finite changes nothing but the scale.

    Returns:
        Function (images, targets, weights, momentum) -> (losses by name, norm of the gradient).
    """
    import keras

    steps = {"tensorflow": _tensorflow_step, "jax": _jax_step}
    return steps[keras.backend.backend()](model, average, optimizer, objectives, clip_norm, devices or find_devices(),
                                          precision)


def _computing(precision, model):
    """The context in which a step is traced: outside it the net computes in float32."""
    return precision.computing(model) if precision else contextlib.nullcontext()


def _on_devices(devices, images, targets):
    """The batch by name as `devices.split` gives it: sent before, or now."""
    return dict(targets.on_devices) if isinstance(targets, Sent) else devices.split({**targets, "images": images})


def _tensorflow_step(model, average, optimizer, objectives, clip_norm, devices, precision):
    import tensorflow as tf

    variables = model.trainable_variables
    pairs = list(zip(average.variables, model.variables, strict=True)) if average else []
    scaling, again = precision.variables if precision else [], devices.sums_again(optimizer)

    def update(images, targets, weights, momentum):
        """What each device does with its share. With one device the sums and divisions change nothing."""
        changed = [*model.variables, *optimizer.variables, *(average.variables if average else [])] if scaling else []
        before = [tf.identity(v.value) for v in changed]
        with tf.GradientTape(persistent=True) as tape:
            outputs = model(tf.cast(images, "float32"), training=True)
            outputs = {name: tf.cast(value, "float32") for name, value in outputs.items()}
            scalars, losses = objectives(outputs, targets, variables, weights)
            scalars = [scalar / devices.count for scalar in scalars]
            if scaling:
                scalars = [scalar * scaling[0].value for scalar in scalars]
        zero = tf.UnconnectedGradients.ZERO
        gradients = [tape.gradient(scalar, [v.value for v in variables], unconnected_gradients=zero)
                     for scalar in scalars]
        gradients = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        if scaling:
            gradients = [[g / scaling[0].value for g in each] for each in gradients]
        norm = tf.linalg.global_norm([g for each in gradients for g in each])
        for each in gradients:
            if clip_norm:
                each, _ = tf.clip_by_global_norm(each, clip_norm)
            optimizer.apply([g / again for g in each], variables)
        for mean, value in pairs:
            mean.assign(momentum * mean.value + (1 - momentum) * value.value)
        if scaling:
            finite = tf.math.is_finite(norm)
            for variable, value in zip(changed, before, strict=True):
                variable.assign(tf.where(finite, variable.value, value))
            for variable, value in zip(scaling, precision.next_scale(*(v.value for v in scaling), finite), strict=True):
                variable.assign(value)
        return losses, norm

    @tf.function(autograph=False)
    def step(*arguments):
        with _computing(precision, model):
            return devices.strategy.run(update, arguments)

    def run(images, targets, weights, momentum):
        batch = _on_devices(devices, images, targets)
        weights = tf.constant(weights, tf.float32)
        losses, norm = step(batch.pop("images"), batch, weights, tf.constant(momentum, tf.float32))
        norm = devices.strategy.experimental_local_results(norm)[0]  # the same on each device
        return {k: devices.join(v) for k, v in losses.items()}, float(norm)

    return run


def _jax_step(model, average, optimizer, objectives, clip_norm, devices, precision):
    import jax
    import jax.numpy as jnp

    groups = [model.trainable_variables, model.non_trainable_variables, optimizer.variables,
              average.variables if average else [], precision.variables if precision else []]
    # Position of each variable of the model in (trainable, fixed), where its average finds it.
    places = {id(v): (i, j) for i in (0, 1) for j, v in enumerate(groups[i])}
    followed = [places[id(v)] for v in model.variables] if average else []
    whole, shared = devices.everywhere, devices.shared

    def forward(trainable, fixed, images, targets, weights):
        with _computing(precision, model):
            outputs, fixed = model.stateless_call(trainable, fixed, images.astype("float32"), training=True)
        outputs = {name: value.astype("float32") for name, value in outputs.items()}
        scalars, losses = objectives(outputs, targets, trainable, weights)
        return scalars, (losses, fixed)

    # The memory of the old values is given up for the new ones: both at once would need twice the room.
    @functools.partial(jax.jit, donate_argnums=0, in_shardings=(whole, shared, shared, whole, whole),
                       out_shardings=(whole, shared, whole))
    def step(state, images, targets, weights, momentum):
        trainable, fixed, moments, means, scaling = state
        scalars, pull_back, (losses, fixed) = jax.vjp(
            lambda values: forward(values, fixed, images, targets, weights), trainable, has_aux=True)
        one = scaling[0] if scaling else jnp.float32(1)
        zero = jnp.float32(0)
        gradients = [pull_back([one if i == k else zero for i in range(len(scalars))])[0] for k in range(len(scalars))]
        if scaling:
            gradients = [[g / scaling[0] for g in each] for each in gradients]
        norm = jnp.sqrt(sum(jnp.sum(g * g) for each in gradients for g in each))
        for each in gradients:
            if clip_norm:
                size = jnp.sqrt(sum(jnp.sum(g * g) for g in each))
                each = [g * jnp.minimum(1.0, clip_norm / jnp.maximum(size, 1e-12)) for g in each]
            trainable, moments = optimizer.stateless_apply(moments, each, trainable)
        now = (trainable, fixed)
        means = [momentum * mean + (1 - momentum) * now[i][j] for mean, (i, j) in zip(means, followed, strict=True)]
        if scaling:
            finite = jnp.isfinite(norm)
            trainable, fixed, moments, means = jax.tree.map(lambda after, before: jnp.where(finite, after, before),
                                                            (trainable, fixed, moments, means), state[:4])
            scaling = list(precision.next_scale(*scaling, finite))
        return (trainable, fixed, moments, means, scaling), losses, norm

    def run(images, targets, weights, momentum):
        state = tuple(devices.copy([v.value for v in group]) for group in groups)
        batch = _on_devices(devices, images, targets)
        images = batch.pop("images")
        weights, momentum = devices.copy([jnp.asarray(weights, "float32"), jnp.float32(momentum)])
        state, losses, norm = step(state, images, batch, weights, momentum)
        for group, values in zip(groups, state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        return {k: devices.join(v) for k, v in losses.items()}, float(norm)

    return run
