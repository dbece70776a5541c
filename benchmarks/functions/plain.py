"""The peer: the simplest handler with boto3. Runs under the runtime client, in an environment with boto3."""

from __future__ import annotations

import base64
import json
import os
import urllib.request
from typing import Any

import boto3

client = boto3.client("sagemaker-runtime")


def handler(event: dict[str, str], _context: object) -> dict[str, Any]:
    if "url" in event:
        with urllib.request.urlopen(event["url"], timeout=10) as response:
            picture = response.read()
    else:
        picture = base64.b64decode(event["image"])
    answer = client.invoke_endpoint(
        EndpointName=os.environ["KENNEL_ENDPOINT_NAME"],
        ContentType="image/jpeg",
        Accept="application/json",
        Body=picture,
    )
    return {"statusCode": 200, "predictions": json.loads(answer["Body"].read())["predictions"]}
