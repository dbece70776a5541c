"""The Lambda function's image: sends a caller's picture to the SageMaker endpoint and returns its answer.

handler.py gets the event. event.py reads a source from it: a URL (fetch.py downloads it safely), an S3 object
(objects.py) or the picture itself. endpoint.py invokes the endpoint, answer.py builds the response. Imports no other
package of this repository and few modules, because every import delays a cold start. Start with handler.py.
"""
