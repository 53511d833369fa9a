"""What each command of `responses-bridge` does. A module adds its options to the parser and carries the command out."""


class CommandError(Exception):
    """The command cannot be carried out; the message says what to do."""
