"""Data sets at scale: a plan becomes many annotated images, on one computer or many.

`plan` says what is asked, `draws` what each image is, `places` where its lesions lie; `item` makes
one image and `engine` all of them, in this process, in local workers or on a Ray cluster.
"""
