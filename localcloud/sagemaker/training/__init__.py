"""Training jobs: CreateTrainingJob and its kin, and the containers that really train.

`request` parses the request once; everything else reads that value. `state` is shared by the API (api.py) and the job's
thread (driver.py → attempt.py → supervise.py). Imports sagemaker.records and s3_input, not tuning. Start with job.py.
"""
