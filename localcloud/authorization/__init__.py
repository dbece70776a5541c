"""IAM, enforced: whether the caller of a request may make it. Off unless localcloud is started with --iam.

Open guard.py first: it stands before every handler. `calls` names a request's operation and parameters, `operations`
says which rights the operation needs, `identity` finds the caller and their policies, `account` the resource's own
policy, and `simulator` decides. `refusals` says no in AWS's words. The access key of a signature says who calls; the
signature itself is not verified. Imports nothing of Kennel's other packages.
"""
