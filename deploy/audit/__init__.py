"""The security review of an account. One file for each area; all of them only read.

Open `finding.py` first, then an area such as `iam.py`. May import aws, errors and values.
"""
