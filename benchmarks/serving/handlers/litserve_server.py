"""LitServe's server: `python -m benchmarks.serving.handlers.litserve_server`, in LitServe's environment."""

from typing import Any

import litserve
import numpy as np
from fastapi import Request

from benchmarks.serving.handlers import network


def _form(request: Any) -> Any:
    """LitServe passes the form itself, although the parameter must be annotated as Request."""
    return request


class Null(litserve.LitAPI):
    """Reads the body, answers a constant."""

    def setup(self, device: str) -> None: ...

    def decode_request(self, request: Request) -> bytes:
        return bytes(_form(request)["content"].file.read())

    def predict(self, inputs: bytes) -> list[float]:
        return network.NULL_ANSWER

    def encode_response(self, output: list[float]) -> dict[str, Any]:
        return {"probabilities": output}


class Classifier(litserve.LitAPI):
    """Decodes a picture in decode_request and runs the network on a batch."""

    def setup(self, device: str) -> None:
        self.decode = network.decoder()
        self.forward = network.forward(network.cpus(), channels_last=True)
        self.forward(np.zeros((2, 3, 224, 224), dtype=np.float32))

    def decode_request(self, request: Request) -> Any:
        return self.decode(_form(request)["content"].file.read())

    def batch(self, inputs: list[Any]) -> Any:
        return np.stack(inputs)

    def predict(self, inputs: Any) -> Any:
        return self.forward(inputs)

    def unbatch(self, output: Any) -> list[Any]:
        return list(output)

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"probabilities": output.tolist()}


def main() -> None:
    api = Null() if network.kind() == "null" else Classifier(max_batch_size=8, batch_timeout=0.005)
    server = litserve.LitServer(api, accelerator="cpu", fast_queue=True)
    server.run(host="127.0.0.1", port=network.port(), generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
