"""Utility studies: does a network that is trained with synthetic images do better on real patients?

`study` says what is compared, `sources` reads the images, `arms` lists the training sets of the table
with their controls, `training` trains one network for one of them, `figures` has AUC and the others with
intervals over patients and seeds, `overuse` says how often one lesion or patient is behind a synthetic
image, `run` does it all and goes on after a kill, `report` writes page, table and curve.
"""
