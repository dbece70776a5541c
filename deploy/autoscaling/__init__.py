"""Application Auto Scaling: scalable targets with their policies and schedules, for endpoints and for the function.

Open `scalable_target.py` first. May import planning, aws, config and values.
"""
