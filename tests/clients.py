"""Doors to AWS for tests that open many: botocore's files are read once, not once a door, which takes 0.2 s of CPU."""

from __future__ import annotations

import functools
import time
from typing import Any

from deploy.aws import client as aws_client
from deploy.aws.client import Client, Clock, Log
from deploy.config.settings import Settings

# What a deploy talks to. A fork server that has read it once gives it to all its processes.
SERVICES = ("sagemaker", "iam", "s3", "ecr", "sts", "lambda", "application-autoscaling", "cloudwatch", "logs")


# Waiting asks often: what takes a minute there takes seconds here.
QUICK = Clock(sleep=lambda seconds: time.sleep(min(seconds, 0.2)))


def connect(settings: Settings, *, log: Log = lambda _: None, clock: Clock | None = None) -> Client:
    """As deploy.aws.client.connect, of which it is one, with the readings of those before it."""
    client = aws_client.connect(settings, log=log, clock=clock)
    client.session._session.register_component("data_loader", _loader())
    return client


@functools.cache
def _loader() -> Any:
    """botocore's reader of its service descriptions, which keeps what it has read."""
    import botocore.session

    return botocore.session.Session().get_component("data_loader")


def read_ahead() -> None:
    """Reads what the clients of a deploy need."""
    import boto3

    session: Any = boto3.Session(region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
    session._session.register_component("data_loader", _loader())
    for service in SERVICES:
        session.client(service)
