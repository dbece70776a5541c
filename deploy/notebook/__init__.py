"""The notebook instance, and the script with which it stops itself when idle.

Open `resource.py` first; `idle.py` runs on the instance. May import iam.policies, planning, aws, config and values.
"""
