"""The same app as a deployment of Ray Serve: replicas on one machine or on a cluster, behind Ray's own HTTP proxies.

    serve run manyfaces.serve.processes.on_ray:application replicas=2 model=ssh_mobilenet_v1_025

Ray's proxy owns the connections, so the limits of `protocol.py` (slow heads, clients that do not take their answer,
numbers of connections) are its own. Everything else is that of `manyfaces serve`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ...errors import InputError, shown
from ..settings import OPENCV_LIMIT, Settings, limit_opencv, read_keys

_SPARE = 8  # requests of a replica beside its queue, so that the queue itself can refuse


def application(arguments: Mapping[str, Any]) -> Any:
    """A Ray Serve application, for `serve run` or `ray.serve.run`.

    Args:
        arguments: fields of Settings, as text or as values, `model` for several names with commas, and `replicas`.

    Raises:
        InputError: a field does not exist or has a wrong value.
    """
    from ray import serve

    settings, replicas = settings_of(arguments)
    wrapped = serve.ingress(_builder(settings))()
    deployment = serve.deployment(
        wrapped, name="manyfaces", num_replicas=replicas, max_ongoing_requests=settings.lanes + settings.queue + _SPARE,
        health_check_period_s=10, graceful_shutdown_timeout_s=settings.grace_seconds,
        ray_actor_options={"num_cpus": settings.lanes,
                           "runtime_env": {"env_vars": {OPENCV_LIMIT: str(settings.max_pixels)}}})
    return deployment.bind()


def settings_of(arguments: Mapping[str, Any]) -> tuple[Settings, int]:
    """(settings, replicas). A replica has one image in work at once where `parallel` is not given."""
    kinds = {field.name: type(field.default) for field in dataclasses.fields(Settings)}
    values: dict[str, Any] = {"host": "0.0.0.0", "parallel": 1}  # Ray's proxy decides who may connect
    replicas = 1
    for key, value in arguments.items():
        name = "models" if key == "model" else key
        if name == "replicas":
            replicas = _number(key, value, int)
        elif name not in kinds:
            raise InputError(f"{key}: no such setting; there are: replicas, model, {', '.join(kinds)}")
        elif kinds[name] is tuple:
            values[name] = tuple(value.split(",")) if isinstance(value, str) else tuple(value)
        elif kinds[name] is bool:
            values[name] = str(value).lower() not in ("false", "0", "no")
        elif kinds[name] in (int, float):
            values[name] = _number(key, value, kinds[name])
        else:
            values[name] = value
    return Settings(**values), replicas


def _number(key, value, kind):
    try:
        return kind(value)
    except ValueError:
        raise InputError(f"{key} is {shown(value)}, expected a {'whole ' if kind is int else ''}number") from None


def _builder(settings):
    """The function that a replica calls. Ray tells one by its kind: it has to be a plain function."""
    def build():
        limit_opencv(settings.max_pixels)
        from ..app import create_app  # imports OpenCV
        from ..service import Service
        from .server import site_of

        return create_app(Service(settings, read_keys(settings.key_file)), site_of(settings))

    return build
