"""S3 as AWS was recorded."""

from tests.functional.localcloud.recorded.s3 import buckets, objects, settings, uploads

CASES = (*objects.CASES, *uploads.CASES, *buckets.CASES, *settings.CASES)
