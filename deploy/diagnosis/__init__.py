"""`./inv why`: collects the facts of a resource that fails, and runs a rule for each known pain over them.

Open `rules.py` first; `collect.py` reads the facts. May import costs, endpoints, jobs, images, aws, config and values.
"""
