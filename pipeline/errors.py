"""What a person can cause or must know: one line each, with the exit code of the command line.

A message names the thing and the way out. Anything that is not one of these is a bug and shows its traceback.
"""


class PipelineError(Exception):
    """Base of all errors that end a command with one line and a code."""

    exit_code = 1


class ConfigError(PipelineError):
    """A recipe, card, option or environment that cannot work (exit 2)."""

    exit_code = 2


class DataError(PipelineError):
    """A data gate: an empty corpus, a success rate too low, counts or hashes that do not agree (exit 3)."""

    exit_code = 3


class LockedError(PipelineError):
    """The run directory is in use by another process (exit 4)."""

    exit_code = 4


class SafetyError(PipelineError):
    """A safety or licence stop (exit 6)."""

    exit_code = 6
