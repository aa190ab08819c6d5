"""Where the medsynth library is, and which Python runs it.

The extension installs the library beside its module file; in its own repository it is one folder up, in a
checkout two. Only the
light parts are ever imported here (presets and the words of a request: standard library only).
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from slicer.i18n import tr as _

from MedSynthLib import preferences

MODULE_FOLDER = Path(__file__).resolve().parents[1]
PYTHON_SETTING = "MedSynth/Python"
ENTRY = "import sys; from medsynth.cli.app import main; sys.exit(main())"


def libraryFolder() -> Path:
    """The folder that holds the medsynth package, added to this Python's search path."""
    for folder in (MODULE_FOLDER, *MODULE_FOLDER.parents[:2]):
        if (folder / "medsynth" / "__init__.py").is_file():
            if str(folder) not in sys.path:
                sys.path.append(str(folder))
            return folder
    raise ImportError(
        _(
            "The medsynth library is neither in {MODULE_FOLDER} nor in {checkout}. Install the whole extension, or add the module from a complete checkout."
        ).format(MODULE_FOLDER=MODULE_FOLDER, checkout=MODULE_FOLDER.parents[1])
    )


def configuredPython() -> str:
    """The Python the user chose in the Advanced section or the settings; empty means Slicer's own."""
    return preferences.read(PYTHON_SETTING)


def command(arguments: list[str]) -> dict:
    """Keyword arguments for `slicer.util.launchConsoleProcess` that run `medsynth ARGUMENTS`."""
    environment = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    python = configuredPython()
    if python:
        # Another Python must not inherit Slicer's PYTHONHOME and library paths.
        return {
            "args": [python, "-c", ENTRY, *arguments],
            "useStartupEnvironment": True,
            "updateEnvironment": environment,
        }
    python = shutil.which("PythonSlicer")
    if python is None:
        raise RuntimeError(
            _(
                "Slicer's own Python (PythonSlicer) was not found. Choose a Python that has medsynth "
                "under Advanced."
            )
        )
    paths = [str(libraryFolder()), os.environ.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(p for p in paths if p)
    return {
        "args": [python, "-c", ENTRY, *arguments],
        "useStartupEnvironment": False,
        "updateEnvironment": environment,
    }


def ensureDependencies(requirementsFile: str, *, torch: bool = True) -> None:
    """Install what is missing, after the user agreed; called by Run, List and Send only.

    Args:
        requirementsFile: what is needed of the ordinary packages.
        torch: whether PyTorch is needed too.

    Raises:
        RuntimeError: the user declined, or PyTorch is not there; the message says what to do.
    """
    try:
        from slicer import packaging
    except ImportError:
        raise RuntimeError(_("This module needs Slicer 5.12 or newer.")) from None
    requirements = packaging.load_requirements(requirementsFile)
    if configuredPython():
        # The other Python brings its own packages; here only Cancel's psutil is needed.
        requirements = [r for r in requirements if r.name == "psutil"]
    try:
        packaging.pip_ensure(requirements, requester="MedSynth")
    except RuntimeError as declined:
        missing = ", ".join(r.name for r in requirements if not packaging.pip_check([r]))
        raise RuntimeError(
            _(
                "Nothing was installed ({declined}). This needs {missing}. Press the button again to install, or choose a Python that has medsynth under Advanced."
            ).format(declined=declined, missing=missing)
        ) from None
    if torch and not configuredPython():
        ensureTorch()


def ensurePackage(requirementsFile: str, name: str) -> None:
    """Install one package of the list into Slicer's own Python, after the user agreed.

    Raises:
        RuntimeError: the user declined.
    """
    from slicer import packaging

    wanted = [r for r in packaging.load_requirements(requirementsFile) if r.name == name]
    try:
        packaging.pip_ensure(wanted, requester="MedSynth")
    except RuntimeError as declined:
        raise RuntimeError(
            _("Nothing was installed ({declined}). This needs {name}.").format(
                declined=declined, name=name
            )
        ) from None


def isReady(requirementsFile: str) -> bool:
    """Whether everything that a run needs is installed; nothing is asked or installed."""
    from importlib.util import find_spec

    if configuredPython():
        return True  # its medsynth will say what it lacks
    try:
        from slicer import packaging
    except ImportError:
        return False
    requirements = packaging.load_requirements(requirementsFile)
    return all(packaging.pip_check([r]) for r in requirements) and find_spec("torch") is not None


def ensureTorch() -> None:
    """PyTorch comes from the PyTorch extension, which picks the build for this computer."""
    from importlib.util import find_spec

    if find_spec("torch"):
        return
    try:
        import PyTorchUtils
    except ImportError:
        raise RuntimeError(
            _(
                "PyTorch is missing. Install the extension 'PyTorch' in the Extensions Manager, restart "
                "Slicer and press Run again."
            )
        ) from None
    if PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True) is None:
        raise RuntimeError(_("PyTorch was not installed. Press Run again to install it."))
