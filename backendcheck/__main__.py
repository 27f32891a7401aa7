"""The command, also as ``python -m backendcheck``."""


def main() -> None:
    """Run the command line. The imports take half a second, in which Ctrl-C ends it as it does later."""
    try:
        from backendcheck.cli import main as run_command
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    run_command()


if __name__ == "__main__":
    main()
