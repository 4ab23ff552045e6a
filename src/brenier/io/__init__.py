"""Files: tables in and out, model files, and writing a file whole or not at all."""
