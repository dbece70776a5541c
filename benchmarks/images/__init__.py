"""Ours beside the smallest honest peer: what each image is made of, and how one is built and weighed."""
