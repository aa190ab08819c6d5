"""What is written to disk: it appears complete, belongs to one run at a time, and leaves nothing behind."""
