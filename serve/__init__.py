"""The serving image: classifies pictures over HTTP with the model that training packaged.

A picture's bytes go from the gunicorn worker (worker.py) through a request (asgi.py) to a route (app.py), which reads
the pictures from the body (codec.py) and hands them to threads (pipeline.py). A thread decodes a picture and offers it
to the batcher (batcher.py), which computes it with the network of the model (predictor.py) in the engine that fits the
machine (contract/engine.py). Imports `contract` only. Start with app.py.
"""
