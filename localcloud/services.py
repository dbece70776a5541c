"""Which rooms answer for which service: the one list that the server is made from."""

from localcloud import autoscaling, ecr, instances, lambda_service, monitor, notebooks, service_quotas, serving, tuning
from localcloud.cloud import Cloud
from localcloud.service import Service
from localcloud.training import TrainingJobs


def services(cloud: Cloud) -> list[Service]:
    """Every room's Service, in the order in which they are closed."""
    scaling, scale = autoscaling.service(cloud)
    jobs = TrainingJobs(cloud)
    return [
        monitor.service(cloud, scale),
        scaling,
        tuning.service(cloud, jobs),
        jobs.service(),
        *instances.services(cloud),
        *serving.services(cloud),
        lambda_service.service(cloud),
        notebooks.service(cloud),
        cloud.tags.service(),
        service_quotas.service(cloud),
        service_quotas.price_list(),
        *([ecr.service(cloud.registry)] if cloud.registry else []),
    ]
