"""Errors that a user can mend."""


class HaloError(Exception):
    """Something in the input, the configuration or the surroundings is wrong.

    The message names the file, the line or id, and the mend; a job that ends with it
    prints the message without a traceback.
    """
