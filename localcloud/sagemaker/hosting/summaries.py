"""Production variants as DescribeEndpoint shows them."""

from localcloud.sagemaker.hosting.fleet import Variant
from localcloud.sagemaker.hosting.traffic import Share
from localcloud.sagemaker.records import Params


def described(variant: Variant) -> Params:
    """Return a ProductionVariantSummary."""
    container = variant.spec.model.get("PrimaryContainer") or variant.spec.model["Containers"][0]
    summary: Params = {
        "VariantName": variant.spec.name,
        "DeployedImages": [
            {
                "SpecifiedImage": container["Image"],
                "ResolvedImage": variant.image,
                "ResolutionTime": variant.resolved,
            }
        ],
        "CurrentWeight": variant.share.weight,
        "DesiredWeight": variant.share.weight,
    }
    serverless = variant.spec.variant.get("ServerlessConfig")
    if serverless:
        return summary | {"CurrentServerlessConfig": serverless, "DesiredServerlessConfig": serverless}
    return summary | {
        "CurrentInstanceCount": len(variant.instances),
        "DesiredInstanceCount": variant.share.count,
    }


def planned(name: str, share: Share) -> Params:
    """Return the ProductionVariantSummary of a variant in an endpoint that is Creating."""
    return {
        "VariantName": name,
        "CurrentWeight": 0.0,
        "DesiredWeight": share.weight,
        "CurrentInstanceCount": 0,
        "DesiredInstanceCount": share.count,
        "VariantStatus": [{"Status": "Creating"}],
    }
