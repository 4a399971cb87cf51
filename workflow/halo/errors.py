"""Errors that a user can fix."""


class HaloError(Exception):
    """An error in the input, the configuration or the environment.

    The message names the file, the line or id, and the fix. A job that ends with this error prints
    the message without a traceback.
    """
