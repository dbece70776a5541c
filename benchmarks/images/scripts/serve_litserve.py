"""The smallest classifier on LitServe and ONNX Runtime."""

from __future__ import annotations

import io
from typing import Any

import litserve
import numpy as np
import onnxruntime
from PIL import Image


class Classifier(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe gives it
        self.session = onnxruntime.InferenceSession("/opt/ml/model/model.onnx")

    def decode_request(self, request: Any) -> Any:
        picture = Image.open(io.BytesIO(request["image"].file.read())).convert("RGB").resize((224, 224))
        return np.asarray(picture, dtype=np.float32).transpose(2, 0, 1)[None] / 255

    def predict(self, inputs: Any) -> Any:
        return self.session.run(None, {self.session.get_inputs()[0].name: inputs})[0]

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"logits": output.tolist()}


if __name__ == "__main__":
    litserve.LitServer(Classifier(), accelerator="cpu").run(port=8080)
