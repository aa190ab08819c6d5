"""The parts of the panel. What they share with the page is the library's `medsynth.scene`."""

import slicer
import vtk

from MedSynthLib import library

library.libraryFolder()  # on this Python's search path, before any part asks for it
from medsynth.scene import given  # noqa: E402

given.use(slicer, vtk)
