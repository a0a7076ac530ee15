"""Where the command `harvest-monitor`, and `python -m monitor`, begins."""

import gc


def main() -> None:
    """Import the command line, and run it."""
    # What is imported stays for good. To search it for garbage again and again takes a fifth of a command's start.
    gc.disable()
    from monitor import cli

    gc.freeze()
    gc.enable()
    cli.main()


if __name__ == "__main__":
    main()
