"""Where lesions can be put without anybody looking: one file per organ, named by the domains' `places`.

A finder takes values (k, j, i) of whole slices in the domain's units, their spacing (i, j, k) in mm and
the threshold of the body, and gives a boolean array. It is stricter than a domain's `organ`, which only
refuses what cannot be: what is in doubt is left out.
"""
