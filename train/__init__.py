"""The training image: pictures in, a packaged model and a report out.

A training goes through these packages in order:

1. `host` observes the machine, reads SageMaker's environment, starts one process per rank, and supervises them.
2. `pictures` scans the data, and decodes batches.
3. `learning` trains a head on features or the whole network, and keeps checkpoints.
4. `packaging` exports the network, chooses the inference engine, and writes the artifact.
5. `reporting` writes the report that people read.

`__main__` is the entry point and does the first steps; `worker` is the program of each rank and does the rest. Open
`__main__` first, then `worker`. May import `contract` only.
"""
