"""Service Quotas: the account's quotas (limits.py, open it first) and the service's operations (api.py).

Other services call `Quotas.require` before they create instances. Imports errors and gateway.
"""
