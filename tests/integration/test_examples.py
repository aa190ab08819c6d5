"""The notebooks of examples/, executed from the first cell to the last with few steps."""

import ast
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
# What replaces the values of the cell tagged `parameters`.
SMALL = {
    "01_first_image": {"steps": 2},
    "02_guidance_explained": {"steps": 4},
    "03_train_on_your_data": {"patients": 4, "slices": 1, "steps": 3},
    "04_evaluate_and_audit": {"patients": 6, "slices": 4, "steps": 3, "calls": 1},
}


def parameters(notebook):
    (cell,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", ()))
    return cell


def names_set(source):
    names = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name))
    return {name.id for name in names if isinstance(name.ctx, ast.Store)}


def test_every_notebook_is_executed_here():
    assert {path.stem for path in EXAMPLES.glob("*.ipynb")} == set(SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_notebook_runs(name, tmp_path):
    client = pytest.importorskip("nbclient")
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    cell = parameters(notebook)
    assert set(SMALL[name]) <= names_set(cell.source), "a parameter that the notebook does not have"
    cell.source += "\n" + "\n".join(f"{key} = {value}" for key, value in SMALL[name].items())
    folder = {"metadata": {"path": str(tmp_path)}}
    client.NotebookClient(notebook, timeout=500, kernel_name="python3", resources=folder).execute()
    ran = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in ran)


@pytest.mark.parametrize("name", SMALL)
def test_notebook_is_kept_without_output(name):
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), f"clear the output of {name}"
