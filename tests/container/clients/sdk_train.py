"""Trains with our image through the SageMaker SDK's local mode. Runs in the clients' environment.

    python sdk_train.py IMAGE HOSTS DATA OUTPUT

ModelTrainer passes no `train` argument, mounts one /opt/ml/model for all hosts, and stops every host when the first one
exits. So this tests the entry point, the artifact and the final barrier.
"""

from __future__ import annotations

import sys

from sagemaker.core.training.configs import Compute, InputData
from sagemaker.train.model_trainer import Mode, ModelTrainer

HYPERPARAMETERS = {
    "model": "resnet18",
    "weights": "none",
    "epochs": 1,
    "batch_size": 8,
    "freeze_backbone": True,
    "resize": 40,
    "crop": 32,
    "engine": "onnxruntime",  # other tests cover the measuring of engines
    "serve_precision": "fp32",
}


def main(image: str, hosts: str, data: str, output: str) -> None:
    trainer = ModelTrainer(
        training_mode=Mode.LOCAL_CONTAINER,
        training_image=image,
        compute=Compute(instance_type="local_cpu", instance_count=int(hosts)),
        hyperparameters=HYPERPARAMETERS,
        local_container_root=output,
        base_job_name="clients",
    )
    trainer.train(input_data_config=[InputData(channel_name="training", data_source=data)], wait=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
