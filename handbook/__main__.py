"""`python -m handbook` is `handbook`."""

from handbook.app.cli import main

if __name__ == "__main__":
    main()
