"""Which rooms answer for which service: the one list that the server is made from."""

from localcloud import function_invoke, invoke, training
from localcloud.service import Cloud, Service


def services(cloud: Cloud) -> list[Service]:
    """Every room's Service, in the order in which they are closed."""
    return [
        training.service(cloud),
        *invoke.services(cloud),
        function_invoke.service(cloud),
        cloud.tags.service(),
    ]
