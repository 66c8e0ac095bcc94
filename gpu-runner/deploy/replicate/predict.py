"""The runner as a Cog predictor: Replicate runs images that Cog built, and Cog's server speaks for a Python class.

The runner listens on loopback and does all the work; this passes inputs, outputs and errors through unchanged. A
canceled prediction raises out of the request, which closes its connection, which cancels it in the runner.
"""

import http.client
import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Optional

from cog import BasePredictor, Input

HERE = Path(__file__).resolve().parent
SETUP_SECONDS = 300
# The runner's own limit of one restoration is 600 s, and answers before this.
PREDICTION_SECONDS = 660


class Predictor(BasePredictor):
    def setup(self) -> None:
        """Starts the runner and returns when it can predict; raises with its reason when it cannot."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        memory = {"MALLOC_ARENA_MAX": "2", "NODE_OPTIONS": "--max-semi-space-size=1"}
        env = {"EXECUTION_PROVIDER": "cuda", **memory, **os.environ, "HOST": "127.0.0.1", "PORT": str(self.port)}
        self.runner = subprocess.Popen([HERE / "node", "gpu-runner/index.ts"], cwd=HERE / "app", env=env)
        deadline = time.monotonic() + SETUP_SECONDS
        while time.monotonic() < deadline and self.runner.poll() is None:
            health = self._health()
            if health["status"] == "READY":
                return
            if health["status"] == "SETUP_FAILED":
                raise RuntimeError(health["setup"]["logs"])
            time.sleep(0.1)
        raise RuntimeError("the runner did not become ready")

    def predict(
        self,
        image: str = Input(description="https URL or data URI of the picture"),
        operation: str = Input(default="restore", choices=["restore", "encode"]),
        model: Optional[str] = Input(default=None),
        model_version: Optional[str] = Input(default=None),
        format: Optional[str] = Input(default=None),
        quality: Optional[int] = Input(default=None, ge=1, le=100),
        metadata: Optional[str] = Input(default=None),
        working_scale: Optional[str] = Input(default=None, choices=["auto", "1", "2", "3", "4"]),
        tile: Optional[int] = Input(default=None),
        master_upload_url: Optional[str] = Input(default=None),
        result_upload_url: Optional[str] = Input(default=None),
        upload_part_bytes: Optional[int] = Input(default=None),
    ) -> Any:
        """`shared/protocol/runner-api.ts` defines input and output; the runner validates them."""
        given = {name: value for name, value in locals().items() if name != "self" and value is not None}
        prediction = self._call("POST", "/predictions", {"input": given})
        if prediction.get("status") != "succeeded":
            raise RuntimeError(prediction.get("error") or json.dumps(prediction.get("detail")))
        return prediction["output"]

    def _health(self) -> dict[str, Any]:
        try:
            return self._call("GET", "/health-check")
        except OSError:
            return {"status": "STARTING"}  # Not listening yet.

    def _call(self, method: str, path: str, body: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PREDICTION_SECONDS)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": "application/json"})
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()
