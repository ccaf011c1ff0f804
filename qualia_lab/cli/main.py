"""`qualia`: the group of commands; the module of a command is imported when it is called."""

from __future__ import annotations

from importlib import import_module

import click

from qualia_lab import __version__, console
from qualia_lab.cli import options

# In the order of the help page; each is in the module of the same name.
COMMANDS = (
    "new",
    "experiments",
    "runs",
    "models",
    "traces",
    "study",
    "findings",
    "compare",
    "execute",
    "refresh",
    "watch",
    "changes",
    "export",
    "snapshot",
    "bundle",
    "verify",
    "templates",
)


class LazyGroup(click.Group):
    """A group whose commands are modules of this package, imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's name
        """The names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"qualia_lab.cli.{cmd_name}").command
        return command


@click.group(
    cls=LazyGroup,
    context_settings=options.SETTINGS,
    epilog=options.examples(
        "qualia new                                 asks for what it needs",
        "qualia new --experiment churn --execute    asks nothing",
        "qualia runs --experiment churn             lists the runs",
    ),
)
@click.version_option(__version__, prog_name="qualia")
def qualia() -> None:
    """From an MLflow tracking store to a Jupyter notebook that already says what happened."""


def main() -> None:
    """Run `qualia` and exit."""
    console.run(lambda: qualia.main(prog_name="qualia", standalone_mode=False))
