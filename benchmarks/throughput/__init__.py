"""How fast Kennel trains: programs that run with torch, in the training image or an environment with its packages.

The commands in benchmarks/ start them. Only `cases`, `launching` and `gpu_limits` work without torch. Open jobs.py
first; it builds the job that all of them time.
"""
