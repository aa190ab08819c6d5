"""Reading studies: readers say of each image whether it is real, and nothing but the image helps them.

`create` writes a study folder: `design.json` with everything that is fixed before the first answer and
its SHA-256, `items/` with one file of pixels per image, all of one size, and `study.db` with the
answers. `serve` is the page, `analysis` computes every figure from rows, `report` draws them.
"""
