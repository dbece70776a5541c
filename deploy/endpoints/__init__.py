"""Endpoints: models, configurations, rollout, alarms, scaling, rollback, and calls to an endpoint.

Open `resources.py` first: it puts an endpoint's resources together. `spec.py` is the value that all modules here take;
a canary or linear rollout is planned in `rollout.py`. May import autoscaling, jobs, images, planning, aws and config.
"""
