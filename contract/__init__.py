"""What training and serving agree on. Imports nothing local; only `models` imports torch."""
