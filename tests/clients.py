"""AWS clients for tests that open many: botocore's files are read once, not for each client (0.2 s of CPU each)."""

from __future__ import annotations

import functools
import time
from typing import Any

from deploy.aws import client as aws_client
from deploy.aws.client import Client, Clock, Log
from deploy.config.settings import Settings

# The services that a deploy uses. A fork server reads their descriptions once for all its processes.
SERVICES = ("sagemaker", "iam", "s3", "ecr", "sts", "lambda", "application-autoscaling", "cloudwatch", "logs")


# Polls often: waits of a minute on AWS take seconds in these tests.
QUICK = Clock(sleep=lambda seconds: time.sleep(min(seconds, 0.2)))


def connect(settings: Settings, *, log: Log = lambda _: None, clock: Clock | None = None) -> Client:
    """deploy.aws.client.connect, but all clients share one reader of botocore's service descriptions."""
    client = aws_client.connect(settings, log=log, clock=clock)
    client.session._session.register_component("data_loader", _loader())
    return client


@functools.cache
def _loader() -> Any:
    """botocore's reader of its service descriptions, which caches them."""
    import botocore.session

    return botocore.session.Session().get_component("data_loader")


def read_ahead() -> None:
    """Reads the service descriptions that a deploy's clients need."""
    import boto3

    session: Any = boto3.Session(region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
    session._session.register_component("data_loader", _loader())
    for service in SERVICES:
        session.client(service)
