"""Synthesis for other programs over HTTP: jobs are requests, results are what the command writes."""
