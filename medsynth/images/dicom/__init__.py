"""DICOM in: files, series, pixels and segmentations."""
