"""Into a PACS and out of it: an outbox that loses nothing, two ways to send, one way to know.

Needs the extra `pacs`: pip install "medsynth-slicer[pacs]".
"""

from medsynth.pacs.collect import Instance, collect
from medsynth.pacs.destination import Destination
from medsynth.pacs.job import Job
from medsynth.pacs.outbox import Outbox

__all__ = ["Destination", "Instance", "Job", "Outbox", "collect"]
