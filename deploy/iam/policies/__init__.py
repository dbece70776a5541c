"""The trust and rights of each role, one module a role: `trust(settings)` and `policy(settings)`.

Imports config, iam.document and iam.statements. Start with training.py.
"""
