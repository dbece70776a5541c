"""What the serving benchmarks share: servers as process trees, load by k6, expected answers, and the peers.

Runs on the host and imports only benchmarks.harness; handlers/ runs in each server's environment. Open peer.py first.
"""
