"""What the training benchmarks share: the job that every trainer gets, the peers, and the reading of what they did."""
