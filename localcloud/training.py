"""CreateTrainingJob and its kin."""

from localcloud.service import Cloud, Service


def service(cloud: Cloud) -> Service:
    return Service(name="sagemaker", handlers={})
