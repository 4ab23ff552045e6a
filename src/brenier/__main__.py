"""`python -m brenier` is the command `brenier`."""

from brenier.cli import main

if __name__ == "__main__":
    main()
