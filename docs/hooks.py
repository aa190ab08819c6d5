"""What MkDocs does not do by itself: pages that lie outside docs/, and links to files of the repository.

Every module of a package has its place on that package's page of the API reference. The pages are written for both GitHub and the site. A page from outside docs/ keeps its path, except
README.md and examples/README.md, which become the index of their folder; notebooks become pages. A
link to any other file of the repository leads to a copy of that file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "SECURITY.md": "SECURITY.md",
    "examples/README.md": "examples/index.md",
    "monai_bundle/docs/README.md": "monai_bundle/docs/README.md",
}
PACKAGES = [
    *("request", "domains", "diffusion", "networks", "generators", "pipeline", "records"),
    *("images", "phantoms", "lesions", "dicom", "pacs", "training", "datasets", "evaluation"),
]
LINK = re.compile(r"(\[[^\]]*\]\()([^)\s#]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def pages() -> dict[str, str]:
    """Path in the repository -> path in the site, of every page that lies outside docs/."""
    cards = (ROOT / "monai_bundle" / "models").glob("*.md")
    same = {path.relative_to(ROOT).as_posix() for path in cards}
    books = {path.relative_to(ROOT).as_posix() for path in (ROOT / "examples").glob("*.ipynb")}
    return OUTSIDE | {path: path for path in same} | {path: f"{path[:-6]}.md" for path in books}


def text_of(path: Path) -> str:
    """A page's Markdown; a notebook's cells become text and fenced code."""
    text = path.read_text()
    if path.suffix != ".ipynb":
        return text
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    return "\n\n".join(f"```python\n{s}\n```" if kind == "code" else s for kind, s in cells)


def targets(text: str, folder: Path) -> Iterator[Path]:
    """The files of the repository that a page in `folder` links to."""
    for _, target, _ in LINK.findall(FENCE.sub("", text)):
        path = Path(os.path.normpath(folder / target))
        if not re.match(r"[a-z]+:", target) and path.is_file() and path.is_relative_to(ROOT):
            yield path


def reference(package: str) -> str:
    """The page of a package: every module of it, from its docstrings."""
    folder = ROOT / "medsynth" / package
    names = (
        ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in folder.rglob("*.py")
    )
    modules = sorted(name.removesuffix(".__init__") for name in names)
    return f"# medsynth.{package}\n\n" + "\n\n".join(f"::: {name}" for name in modules) + "\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages from outside docs/, the API reference, and the files that pages link to."""
    outside = pages()
    for source, uri in outside.items():
        files.append(File.generated(config, uri, content=text_of(ROOT / source)))
    for package in PACKAGES:
        files.append(File.generated(config, f"api/{package}.md", content=reference(package)))
    everything = [*(ROOT / source for source in outside), *(ROOT / "docs").glob("*.md")]
    linked = {t for page in everything for t in targets(text_of(page), page.parent)}
    for path in sorted(linked):
        name = path.relative_to(ROOT).as_posix()
        if name not in outside and not name.startswith("docs/"):
            files.append(File.generated(config, f"files/{name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links, as they lead in the repository, turned into those of the site."""
    outside, uri = pages(), page.file.src_uri
    source = next((s for s, u in outside.items() if u == uri), f"docs/{uri}")

    def moved(match: re.Match) -> str:
        path = Path(os.path.normpath(ROOT / Path(source).parent / match[2]))
        if re.match(r"[a-z]+:", match[2]) or not path.is_file():
            return match[0]
        name = path.relative_to(ROOT).as_posix()
        default = name.removeprefix("docs/") if name.startswith("docs/") else f"files/{name}"
        there = os.path.relpath(outside.get(name, default), Path(uri).parent)
        return f"{match[1]}{there}{match[3] or ''})"

    return LINK.sub(moved, markdown)
