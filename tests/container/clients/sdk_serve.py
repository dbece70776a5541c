"""Serves with our image through the SageMaker SDK's LocalSession, prints one answer. Runs in the clients' environment.

python sdk_serve.py IMAGE MODEL_TAR_GZ PICTURE PORT
"""

from __future__ import annotations

import sys
from pathlib import Path

from sagemaker.core.local import LocalSession

NAME = "kennel-clients"


def main(image: str, model: str, picture: str, port: str) -> None:
    session = LocalSession()
    session.config = {"local": {"serving_port": int(port)}}
    client, runtime = session.sagemaker_client, session.sagemaker_runtime_client
    client.create_model(
        ModelName=NAME,
        PrimaryContainer={"Image": image, "ModelDataUrl": f"file://{model}", "Environment": {}},
        ExecutionRoleArn="arn:aws:iam::123456789012:role/clients",
    )
    variant = {"VariantName": "all", "ModelName": NAME, "InstanceType": "local", "InitialInstanceCount": 1}
    client.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=[variant])
    client.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    try:
        body = Path(picture).read_bytes()
        answer = runtime.invoke_endpoint(
            EndpointName=NAME, Body=body, ContentType="image/jpeg", Accept="application/json"
        )
        sys.stdout.write("ANSWER " + answer["Body"].read().decode() + "\n")
    finally:
        client.delete_endpoint(NAME)


if __name__ == "__main__":
    main(*sys.argv[1:])
