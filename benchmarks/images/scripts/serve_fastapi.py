"""The smallest classifier on FastAPI, uvicorn and ONNX Runtime."""

from __future__ import annotations

import io
from typing import Any

import fastapi
import numpy as np
import onnxruntime
import uvicorn
from PIL import Image

app = fastapi.FastAPI()
session = onnxruntime.InferenceSession("/opt/ml/model/model.onnx")


@app.get("/ping")  # type: ignore[untyped-decorator]
def ping() -> None:
    pass


@app.post("/invocations")  # type: ignore[untyped-decorator]
def invocations(body: bytes = fastapi.Body(media_type="image/jpeg")) -> dict[str, Any]:
    picture = Image.open(io.BytesIO(body)).convert("RGB").resize((224, 224))
    inputs = np.asarray(picture, dtype=np.float32).transpose(2, 0, 1)[None] / 255
    return {"logits": session.run(None, {session.get_inputs()[0].name: inputs})[0].tolist()}


if __name__ == "__main__":
    uvicorn.run(app, host="0.0.0.0", port=8080)
