"""Other people's trainers, each a script for its own environment: `python -m benchmarks.training.peers.NAME JOB`.

All build the same network from the same file (contract/models.py), train it on the same pictures and leave the same
outcome. What differs is the trainer: its loop, its loader, its transforms.
"""
