"""Compares desired with observed state, plans the difference, and applies the plan. Knows no kind of resource.

Imports aws, config, errors and values. Start with resource.py, then plan.py and apply.py.
"""
