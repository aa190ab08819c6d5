"""What a result is written as, one file each: found by itself, and named by `output.write` of a request."""
