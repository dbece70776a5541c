"""Errors for people: where, what, and the fix. cli/context.py shows them as one line; a bug keeps its traceback."""


class DeployError(RuntimeError):
    """Something that the person at the keyboard can mend; the text says where, what and how."""


class SettingsError(DeployError):
    """deploy.toml, or the choice of a stage, is not usable."""


class DataError(DeployError):
    """The pictures to push are not laid out as training needs them."""


class JobError(DeployError):
    """A training job that did not end well."""


class ImageRefusedError(DeployError):
    """An image that SageMaker or Lambda would not run."""


class PushError(DeployError):
    """An image that did not reach the registry."""


class AwsError(DeployError):
    """AWS refused a request. `code` and `message` are its own words, `operation` is service.Operation."""

    def __init__(self, *, operation: str, code: str, message: str, fix: str = "") -> None:
        super().__init__(f"{operation}: {code}: {message}" + (f"\n{fix}" if fix else ""))
        self.operation, self.code, self.message = operation, code, message
