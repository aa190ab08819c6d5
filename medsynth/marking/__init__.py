"""The words that say an image is synthetic, and where each file format keeps them.

DICOM objects carry the same words in their own attributes, see `medsynth.dicom.provenance`.
"""

from medsynth.marking.header import KEY, TEXT, WORD, header_fields, jpeg_comment, png_chunks

__all__ = ["KEY", "TEXT", "WORD", "header_fields", "jpeg_comment", "png_chunks"]
