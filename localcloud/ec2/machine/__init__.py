"""Runs in a container that acts as an EC2 instance: its first process (agent.py), and its `docker` and `shutdown`."""
