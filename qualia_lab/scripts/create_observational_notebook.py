"""`create-observation-notebook`: the same command as `qualia new`."""

from __future__ import annotations

from qualia_lab import console
from qualia_lab.cli.new import command


def main() -> None:
    """Run the command and exit."""
    console.run(lambda: command.main(prog_name="create-observation-notebook", standalone_mode=False))


if __name__ == "__main__":
    main()
