"""``essen``, the one command: its commands in the order of its help, and how any of them ends."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer

from flows.commands import inspection, machine, runs, sharing, studies

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="From small, child-directed image-text corpora to a compact, honestly evaluated vision-language model.",
)

COMMANDS: tuple[Callable[..., None], ...] = (
    runs.run,
    *map(runs.phase_command, runs.PHASES),
    runs.train,
    runs.order,
    runs.evaluate,
    inspection.verify,
    inspection.search,
    sharing.export_index,
    inspection.dedup_calibrate,
    studies.study,
    inspection.corpora,
    inspection.models,
    sharing.export,
    sharing.publish,
    sharing.takedown,
    machine.serve,
    machine.setup,
)
for _command in COMMANDS:
    app.command()(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code: known errors in one line, anything else with its traceback."""
    sys.exit(_guarded(lambda: app(args=list(arguments) if arguments is not None else None, standalone_mode=False)))


def _guarded(command: Callable[[], Any]) -> int:
    from flows.interrupt import Interrupted
    from pipeline.sample import one_line

    try:
        return command() or 0
    except typer.Exit as stop:
        return stop.exit_code
    except (Interrupted, KeyboardInterrupt, typer.Abort) as stop:
        print("essen: interrupted; the same command goes on from here", file=sys.stderr)
        return getattr(stop, "exit_code", 130)
    except Exception as error:
        code = getattr(error, "exit_code", None)
        if code is None:
            raise
        # Usage errors of the command line carry their text in a method.
        text = error.format_message() if hasattr(error, "format_message") else str(error)
        print(f"essen: {one_line(' '.join(text.split()))}", file=sys.stderr)
        return code


if __name__ == "__main__":
    main()
