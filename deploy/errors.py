"""Errors for users: where, what, and the fix. cli/context.py prints them without a traceback; a bug keeps its own."""


class DeployError(RuntimeError):
    """A failure that the user can fix. The text says where, what, and how to fix it."""


class SettingsError(DeployError):
    """deploy.toml, or the chosen stage, is not valid."""


class DataError(DeployError):
    """The pictures to push do not have the layout that training needs."""


class JobError(DeployError):
    """A job failed, or could not start."""


class ImageRefusedError(DeployError):
    """SageMaker or Lambda would not run this image."""


class PushError(DeployError):
    """An image did not reach the registry."""


class AwsError(DeployError):
    """AWS refused a request. `code` and `message` come from AWS, `operation` is service.Operation."""

    def __init__(self, *, operation: str, code: str, message: str, fix: str = "") -> None:
        super().__init__(f"{operation}: {code}: {message}" + (f"\n{fix}" if fix else ""))
        self.operation, self.code, self.message = operation, code, message
