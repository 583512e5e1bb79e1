"""``python -m jobserver``."""

from jobserver.cli.main import main

if __name__ == "__main__":
    main()
