"""The whole job in a browser, on 3D Slicer's core: one process for each session, behind one gateway."""
