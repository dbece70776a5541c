"""Desired and observed state become a plan, and apply runs it. Knows no AWS service.

Imports aws, config, errors and values. Start with resource.py, then plan.py and apply.py.
"""
