"""What a person can cause or must know about training and evaluation: one line each, with an exit code."""


class EssenError(Exception):
    """Base of all errors that end a command with one line and a code (2: configuration, environment or usage)."""

    exit_code = 2


class StagesError(EssenError):
    """Staged shards that are missing, damaged or too small for what is asked of them (exit 3)."""

    exit_code = 3


class TrialsError(EssenError):
    """Trials, labelled pictures or sets to score on that are missing, damaged or of another form (exit 3)."""

    exit_code = 3


class DivergedError(EssenError):
    """Training whose loss stopped being a number (exit 5)."""

    exit_code = 5


class StopRequested(EssenError):
    """Training that was asked to end: its checkpoint is written, the same command goes on from there (exit 130)."""

    exit_code = 130
