"""Every service that localcloud answers itself, in one list. The server passes all other requests to moto."""

from localcloud.applicationautoscaling import service as autoscaling
from localcloud.awslambda import service as lambda_service
from localcloud.cloud import Cloud
from localcloud.cloudwatch import log_rules, monitor
from localcloud.ec2 import instances
from localcloud.ecr import api as ecr
from localcloud.gateway.service import Service
from localcloud.sagemaker import notebooks
from localcloud.sagemaker import services as sagemaker
from localcloud.sagemaker.training.api import TrainingJobs
from localcloud.sagemaker.tuning import api as tuning
from localcloud.service_quotas import api as service_quotas


def services(cloud: Cloud) -> list[Service]:
    """All Services, in the order in which they are closed."""
    scaling, scale = autoscaling.service(cloud)
    watch = monitor.Monitor(metrics=cloud.metrics, alarms=cloud.alarms, scale=cloud.minute / 60, on_tick=(scale,))
    jobs = TrainingJobs(cloud)
    return [
        monitor.service(watch, cloud.now),
        log_rules.service(),
        scaling,
        tuning.service(cloud, jobs),
        jobs.service(),
        *instances.services(cloud),
        *sagemaker.services(cloud),
        lambda_service.service(cloud),
        notebooks.service(cloud),
        cloud.tags.service(),
        service_quotas.service(cloud.quotas, arn=cloud.arn, now=cloud.now),
        service_quotas.price_list(),
        *([ecr.service(cloud.registry)] if cloud.registry else []),
    ]
