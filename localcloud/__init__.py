"""AWS on one machine: moto keeps records, Docker runs training jobs, endpoints, functions and instances for real.

`python -m localcloud` serves one HTTP port that boto3, the AWS CLI and containers reach through AWS_ENDPOINT_URL. Open
services.py first: it lists every service that localcloud answers itself. gateway/ validates each request against
botocore's model and calls the service's handler. An operation without a handler goes to moto, which runs in the same
process.

Who answers which service:

    sagemaker, sagemaker-runtime                    sagemaker/; moto for the operations without a handler
    lambda                                          awslambda/
    application-autoscaling                         applicationautoscaling/; moto for other namespaces
    ecr                                             ecr/, with a real registry; moto for policies, tags, lifecycle
    ec2 (instances), ssm (names of AMIs)            ec2/ runs containers; moto keeps all records
    service-quotas, pricing                         service_quotas/
    cloudwatch, logs                                moto; cloudwatch/ measures, evaluates the alarms, checks requests
    iam                                             moto; iam.py says whether a service can assume a role
    s3, sts and every other service                 moto; s3.py is only a client that jobs use

faults/ lets AWS's own bad days happen on request: what is new is seen late, and requests are throttled.
With --iam, authorization/ judges every request before anybody answers it.

To add an operation: write a handler, a function of the request's parameters that returns the result's members, in the
service's package, and add it to the `handlers` of that package's Service (gateway/service.py). It raises ApiError with
AWS's code and message. tags.py is the smallest example. For a new service, add its Service to services.py and its name
to gateway.protocol.SERVICES. An operation of S3 belongs to moto: there is no handler to write. Either way
authorization/ needs a line that says which rights the operation needs.

Imports nothing of Kennel's other packages. tests/unit/test_layers.py says which of its own packages may import which.
"""
