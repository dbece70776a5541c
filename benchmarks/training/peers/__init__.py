"""Other trainers, each a script for its own environment: `python -m benchmarks.training.peers.NAME JOB`.

All build the same network (contract/models.py), train it on the same pictures and write the same outcome. They differ
in the trainer: its loop, its loader, its transforms. Open plain.py first.
"""
