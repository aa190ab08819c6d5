"""Whether lesions came out as they were asked for."""
