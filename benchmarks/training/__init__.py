"""What the training benchmarks share: the job that every trainer gets, the peers, and how their results are read.

job.py uses only the standard library, because the host and all peers' environments import it. Open comparison.py first.
"""
