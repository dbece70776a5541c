"""HTTP in: one port for all of AWS. Open server.py first.

`server` reads a request, `protocol` names its operation and parameters, `validation` checks them, and the handler of a
`service.Service` answers; moto answers where there is no handler (`fallback`). `conditional_writes` adds what
moto's S3 lacks. Imports only localcloud.errors.
"""
