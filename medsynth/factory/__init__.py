"""Data sets at scale: a plan becomes many annotated images, on one computer or many."""
