"""The error for what the caller can mend."""


class UserError(Exception):
    """Something the caller can mend; printed as one line, without a traceback."""
