"""MLflow, with a store on this machine: OUTPUT_DIR/mlflow/mlflow.db and artifacts beside it.

`mlflow ui --backend-store-uri sqlite:///output/mlflow/mlflow.db` shows it. MLFLOW_TRACKING_URI names another store,
such as a server.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .tracker import Run, Tracker

LONGEST = 500  # characters of a parameter
ARTIFACTS = ("best.weights.h5", "config.yml", "curves.png", "run.html")
FOLDER_TAG = "training.folder"  # by which a resumed training finds its run


class MlflowTracker(Tracker):
    """A run of the experiment `manyfaces`; a training that is resumed continues its run."""

    def __init__(self) -> None:
        for key, value in (("MLFLOW_HTTP_REQUEST_TIMEOUT", "10"), ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2"),
                           ("GIT_PYTHON_REFRESH", "quiet"), ("MLFLOW_DISABLE_TELEMETRY", "true")):
            os.environ.setdefault(key, value)
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient

        self.client_class, self.metric, self.param = MlflowClient, Metric, Param

    def start(self, run: Run) -> None:
        folder = run.folder.absolute()
        store = folder.parent / "mlflow"
        address = os.environ.get("MLFLOW_TRACKING_URI")
        if not address:
            store.mkdir(parents=True, exist_ok=True)
            address = f"sqlite:///{store / 'mlflow.db'}"
        self.run = run
        self.client: Any = self.client_class(tracking_uri=address)
        experiment = self.client.get_experiment_by_name("manyfaces")
        number = experiment.experiment_id if experiment else self.client.create_experiment(
            "manyfaces", None if "MLFLOW_TRACKING_URI" in os.environ else (store / "artifacts").as_uri())
        self.id = self._earlier(number, folder) if run.step else None
        if self.id is None:
            self.id = self.client.create_run(number, run_name=run.name,
                                             tags={FOLDER_TAG: str(folder)}).info.run_id
            params = [self.param(key, str(value)[:LONGEST]) for key, value in run.config.items()]
            for first in range(0, len(params), 100):  # the most that one call takes
                self.client.log_batch(self.id, params=params[first : first + 100])
        else:
            self.client.update_run(self.id, status="RUNNING")

    def _earlier(self, experiment, folder):
        text = str(folder).replace("\\", "\\\\").replace("'", "\\'")
        found = self.client.search_runs([experiment], f"tags.`{FOLDER_TAG}` = '{text}'", max_results=1,
                                        order_by=["attributes.start_time DESC"])
        return found[0].info.run_id if found else None

    def scalars(self, kind: str, values: Mapping[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        self.client.log_batch(self.id, metrics=[self.metric(f"{kind}/{name}", float(value), now, step)
                                                for name, value in values.items()])

    def images(self, kind: str, pictures: Mapping[str, np.ndarray], step: int) -> None:
        for number, picture in enumerate(pictures.values()):
            self.client.log_image(self.id, picture, key=f"{kind} {number}", step=step)

    def artifact(self, path: Path) -> None:
        if path.name == "best.weights.h5":
            self.client.log_artifact(self.id, str(path))

    def end(self, status: str) -> None:
        for name in ARTIFACTS:
            if (self.run.folder / name).is_file():
                self.client.log_artifact(self.id, str(self.run.folder / name))
        self.client.set_terminated(self.id, {"done": "FINISHED", "stopped": "KILLED"}.get(status, "FAILED"))
