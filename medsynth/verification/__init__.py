"""Is an image synthetic? Header, signatures, pixels and the records of runs are asked one by one."""

from medsynth.verification.finding import Finding
from medsynth.verification.verify import Verification, verify

__all__ = ["Finding", "Verification", "verify"]
