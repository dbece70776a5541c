"""Ray Serve's application on its own one-node cluster: `python -m benchmarks.serving.handlers.ray_serve`."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import serve
from starlette.requests import Request

from benchmarks.serving.handlers import network


@serve.deployment(max_ongoing_requests=100)
class Null:
    """Reads the body, answers a constant."""

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Also answers the GET that checks whether the server is ready."""
        await request.body()
        return {"probabilities": network.NULL_ANSWER}


@serve.deployment(max_ongoing_requests=100)
class Classifier:
    """Dynamic request batching, as in Ray's guide; one replica with all threads."""

    def __init__(self) -> None:
        self.decode = network.decoder()
        self.forward = network.forward(network.cpus(), channels_last=True)
        self.forward(np.zeros((2, 3, 224, 224), dtype=np.float32))

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.005)
    async def classify(self, pictures: list[bytes]) -> list[list[float]]:
        return await asyncio.to_thread(self._answers, pictures)

    def _answers(self, pictures: list[bytes]) -> list[list[float]]:
        probabilities: list[list[float]] = self.forward(np.stack([self.decode(each) for each in pictures])).tolist()
        return probabilities

    async def __call__(self, request: Request) -> dict[str, Any]:
        if request.method == "GET":  # the readiness check
            return {}
        return {"probabilities": await self.classify(await request.body())}


def main() -> None:
    cpus = network.cpus()
    ray.init(num_cpus=cpus, include_dashboard=False, _temp_dir=str(Path.cwd() / "ray"), log_to_driver=True)
    serve.start(http_options={"host": "127.0.0.1", "port": network.port()})
    deployment: Any = Null if network.kind() == "null" else Classifier
    # Ray's guide on performance: reserve the cores, and set the framework's threads with OMP_NUM_THREADS.
    actor = {"num_cpus": 1 if network.kind() == "null" else cpus, "runtime_env": {"env_vars": {}}}
    if network.kind() != "null":
        actor["runtime_env"] = {"env_vars": {"OMP_NUM_THREADS": str(cpus)}}
    serve.run(deployment.options(ray_actor_options=actor).bind(), route_prefix="/")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
