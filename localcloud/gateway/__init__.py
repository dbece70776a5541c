"""HTTP in: one port for all of AWS. Open server.py first.

`server` reads a request, `protocol` names its operation and parameters, `validation` checks them, and the handler of a
`service.Service` answers; moto answers where there is no handler (`fallback`). `conditional_writes` adds what moto's S3
lacks. `requests` names the operation of any service, for the gates that may refuse a request before it is answered.
Imports only localcloud.aws_client and errors.
"""
