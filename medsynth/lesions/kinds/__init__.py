"""The kinds of lesions: one file each, its parameters beside its drawer."""
