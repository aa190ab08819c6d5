"""What was done: the result, its audit and where it came from."""
