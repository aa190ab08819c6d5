"""The low-pass filters, one file each, found by itself; `low_pass` builds them."""
