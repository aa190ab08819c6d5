"""Lints of the extension; plain text and syntax trees, so they run in any Python."""

import ast
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXTENSION = ROOT / "MedSynthSlicer"
MODULE = EXTENSION / "MedSynth"
SOURCES = sorted(EXTENSION.rglob("*.py"))
UI_FILES = sorted((MODULE / "Resources" / "UI").glob("*.ui"))
# Which class's fields a .ui file's SlicerParameterName values must be.
PARAMETERS = {
    "MedSynth.ui": (MODULE / "MedSynthLib" / "parameters.py", "MedSynthParameterNode"),
    "Pathology.ui": (MODULE / "MedSynthLib" / "pathologynodes.py", "PathologyParameterNode"),
}
INPUTS = {"QComboBox", "QSpinBox", "QDoubleSpinBox", "QCheckBox", "QLineEdit", "QSlider"}
INPUTS |= {"ctkSliderWidget", "ctkPathLineEdit", "ctkDirectoryButton", "qMRMLNodeComboBox"}


def listedInCMake(folder):
    """The files that the CMake lists of `folder` and its subfolders name."""
    listed = set()
    for lists in folder.rglob("CMakeLists.txt"):
        text = re.sub(r"#.*", "", lists.read_text()).replace("${MODULE_NAME}", "MedSynth")
        names = re.findall(r"[\w./-]+\.(?:py|ui|png|txt)", text)
        listed |= {(lists.parent / name).resolve() for name in names}
    return listed


def test_every_file_is_in_the_cmake_lists():
    kinds = {".py", ".ui", ".png", ".txt"}
    files = {p.resolve() for p in MODULE.rglob("*") if p.suffix in kinds}
    files = {p for p in files if p.name != "CMakeLists.txt" and "__pycache__" not in p.parts}
    listed = listedInCMake(MODULE)
    assert files - listed == set(), "files that CMake would not install"
    assert listed - files == set(), "listed files that do not exist"


def widgetsOf(ui):
    return list(ET.parse(ui).getroot().iter("widget"))


def dynamic(widget, name):
    for tag in widget.findall("property"):
        if tag.get("name") == name and tag.get("stdset") == "0":
            return tag.findtext("string")
    return None


@pytest.mark.parametrize("ui", UI_FILES, ids=lambda p: p.name)
def test_the_root_hands_the_scene_to_every_mrml_widget(ui):
    root = widgetsOf(ui)[0]
    assert root.get("class") == "qMRMLWidget"
    mrml = {
        w.get("name") for w in widgetsOf(ui)[1:] if w.get("class").startswith(("qMRML", "qSlicer"))
    }
    connected = {
        c.findtext("receiver")
        for c in ET.parse(ui).getroot().iter("connection")
        if c.findtext("sender") == root.get("name")
        and c.findtext("signal") == "mrmlSceneChanged(vtkMRMLScene*)"
        and c.findtext("slot") == "setMRMLScene(vtkMRMLScene*)"
    }
    assert mrml == connected


def fieldsOf(file, className):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ClassDef) and node.name == className:
            return {n.target.id for n in node.body if isinstance(n, ast.AnnAssign)}
    raise AssertionError(f"{className} is not in {file}")


@pytest.mark.parametrize("ui", UI_FILES, ids=lambda p: p.name)
def test_every_parameter_name_is_a_field_and_every_field_has_a_control(ui):
    # MedSynthParameter: shown by titles, which the module's own connector does.
    kinds = "SlicerParameterName", "MedSynthParameter"
    names = [n for w in widgetsOf(ui) for kind in kinds if (n := dynamic(w, kind))]
    assert len(names) == len(set(names))
    fields = fieldsOf(*PARAMETERS[ui.name]) if ui.name in PARAMETERS else set()
    assert set(names) == fields


@pytest.mark.parametrize("ui", UI_FILES, ids=lambda p: p.name)
def test_every_input_is_kept_in_the_scene_or_on_purpose_on_this_computer(ui):
    kinds = (
        "SlicerParameterName",
        "MedSynthParameter",
        "MedSynthFilm",
        "MedSynthReference",
        "MedSynthSetting",
        "MedSynthView",
    )
    # MedSynthFilm, MedSynthReference: on the volume; MedSynthView: how it is looked at, which is not kept
    for widget in widgetsOf(ui):
        if widget.get("class") in INPUTS:
            assert any(dynamic(widget, kind) for kind in kinds), (
                f"{widget.get('name')} is lost when the scene is saved"
            )


@pytest.mark.parametrize("ui", UI_FILES, ids=lambda p: p.name)
def test_every_control_has_a_tool_tip(ui):
    for widget in widgetsOf(ui):
        if widget.get("class") in INPUTS | {"QPushButton", "QToolButton"}:
            tips = [t for t in widget.findall("property") if t.get("name") == "toolTip"]
            assert tips, f"{widget.get('name')} has no tool tip"


@pytest.mark.parametrize("ui", UI_FILES, ids=lambda p: p.name)
def test_names_are_unique_and_custom_widgets_declared(ui):
    names = [w.get("name") for w in widgetsOf(ui)]
    assert len(names) == len(set(names))
    declared = {c.findtext("class") for c in ET.parse(ui).getroot().iter("customwidget")}
    used = {
        w.get("class")
        for w in widgetsOf(ui)
        if w.get("class").startswith(("ctk", "qMRML", "qSlicer"))
    }
    assert used == declared


def test_what_a_first_run_does_not_need_is_closed():
    panel = MODULE / "Resources" / "UI" / "MedSynth.ui"
    sections = [w for w in widgetsOf(panel) if w.get("class") == "ctkCollapsibleButton"]
    closed = [
        w.get("name")
        for w in sections
        for t in w.findall("property")
        if t.get("name") == "collapsed" and t.findtext("bool") == "true"
    ]
    assert closed == [f"{name}Button" for name in ("anatomyEdit", "compare", "batch", "advanced")]


ALLOWED = {"qt", "ctk", "vtk", "slicer", "MedSynthLib", "medsynth", "__future__"}


def topLevelImports(file):
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_of_the_library_only_the_light_parts_are_imported_at_the_top():
    for file in SOURCES:
        for node in ast.parse(file.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module]
            for name in names:
                if name.split(".")[0] == "medsynth":
                    assert name.startswith("medsynth.scene"), (file, name)


@pytest.mark.parametrize("file", SOURCES, ids=lambda p: p.name)
def test_no_heavy_import_at_the_top(file):
    for name in topLevelImports(file):
        top = name.split(".")[0]
        assert top in ALLOWED or top in sys.stdlib_module_names, name


def test_the_library_parts_that_slicer_imports_are_light():
    code = (
        "import importlib, pkgutil, sys, medsynth.scene as scene; import medsynth.images.low_pass_preview;"
        "[importlib.import_module(f'medsynth.scene.{m.name}') for m in pkgutil.iter_modules(scene.__path__)];"
        "heavy = {'numpy', 'torch', 'monai', 'SimpleITK', 'pydicom', 'yaml', 'slicer', 'vtk'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_the_library_never_imports_slicer_or_qt():
    page = ROOT / "medsynth" / "web" / "viewer.py"  # the page's only file that knows them
    for file in {*(ROOT / "medsynth").rglob("*.py")} - {page}:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {n.split(".")[0] for n in names} & {"slicer", "qt", "ctk", "vtk"}, file


def test_the_module_file_is_thin():
    assert len((MODULE / "MedSynth.py").read_text().splitlines()) < 200


@pytest.mark.parametrize("file", SOURCES, ids=lambda p: p.name)
def test_compiles_as_python_3_12(file):
    ast.parse(file.read_text(), feature_version=(3, 12))


def test_slicers_own_packages_are_never_installed():
    lines = (MODULE / "Resources" / "requirements.txt").read_text().splitlines()
    names = {re.split(r"[<>=!~ ]", line)[0].lower() for line in lines if line and line[0] != "#"}
    assert not names & {"numpy", "simpleitk", "pydicom", "requests", "torch", "vtk"}
    assert "psutil" in names  # Cancel needs it


def test_what_the_library_needs_is_in_the_requirements():
    own = {"torch", "numpy", "simpleitk", "itk", "pydicom"}  # Slicer's, PyTorch's; itk: training
    text = (ROOT / "setup.py").read_text()
    block = re.search(r"install_requires=\[(.*?)\]", text, re.DOTALL)[1]
    block += re.search(r"DICOM = \[(.*?)\]", text, re.DOTALL)[1]
    wanted = {n.lower() for n in re.findall(r'"([A-Za-z][\w-]*)', block)} - own
    lines = (MODULE / "Resources" / "requirements.txt").read_text().splitlines()
    listed = {re.split(r"[<>=!~ ]", line)[0].lower() for line in lines if line and line[0] != "#"}
    assert wanted <= listed
