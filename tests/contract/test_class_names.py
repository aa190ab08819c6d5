"""One word, one meaning: no two public classes of medsynth share a name."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2] / "medsynth"
# Still to be renamed by whoever works there next; what is mended leaves this list.
REMAINDER: set[str] = set()


def public_classes():
    found = defaultdict(list)
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(ROOT)))
    return found


def test_no_two_public_classes_share_a_name():
    twice = {name: paths for name, paths in public_classes().items() if len(paths) > 1}
    assert not {name: paths for name, paths in twice.items() if name not in REMAINDER}
