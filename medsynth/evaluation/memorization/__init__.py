"""Whether a sample copies a training image."""
