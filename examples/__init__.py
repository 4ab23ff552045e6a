"""Programs to run and read: `python -m examples.NAME`, from the repository's root."""
