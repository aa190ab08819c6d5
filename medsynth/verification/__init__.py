"""Is an image synthetic? Header, signatures, pixels and the records of runs are asked one by one.

Nothing is imported here: the page asks only the header of an upload, and must not load torch for it.
"""
