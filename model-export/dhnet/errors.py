"""The error of everything that the caller can mend."""


class UserError(Exception):
    """A mistake that the caller can mend; the command line prints its message as one line, without a traceback."""
