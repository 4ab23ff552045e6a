"""Files: tables in and out, model files, and writing whole or not at all."""
