"""Real pictures and pretrained weights to start with, fetched by package name and checked, never committed."""
