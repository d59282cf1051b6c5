"""The layers import one way, and what should start quickly imports nothing slow."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

# Each may import those before it.
LAYERS = ["data", "networks", "checkpoints", "inference", "evaluation", "training"]

SLOW = ["torch", "lightning", "segmentation_models_pytorch", "torchvision", "openvino"]


def modules(*folders: str) -> list[Path]:
    return sorted(
        path.relative_to(REPOSITORY)
        for name in folders
        for path in (REPOSITORY / name).rglob("*.py")
    )


def imported_by(path: Path) -> set[str]:
    """Full names of the modules that a file imports anywhere, in functions too."""
    names = set()
    for node in ast.walk(ast.parse((REPOSITORY / path).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def layers_of(names: set[str]) -> set[str]:
    parts = [name.split(".") for name in names if name.startswith("model.")]
    return {part[1] for part in parts} & set(LAYERS)


def test_the_check_sees_imports_in_functions_and_of_submodules(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "REPOSITORY", tmp_path)
    (tmp_path / "x.py").write_text(
        "def f():\n    from model.training import run\nimport model.data.images\n"
        "from model import evaluation\n"
    )
    assert layers_of(imported_by(Path("x.py"))) == {"training", "data", "evaluation"}


@pytest.mark.parametrize("path", modules("model"), ids=str)
def test_layers_of_the_library_import_one_way(path):
    layer = path.parts[1]
    if layer not in LAYERS:
        return  # the package itself, its errors, and the command line
    above = set(LAYERS[LAYERS.index(layer) + 1 :])
    assert not layers_of(imported_by(path)) & above


@pytest.mark.parametrize("path", modules("model"), ids=str)
def test_the_library_knows_no_front_end(path):
    roots = {name.split(".")[0] for name in imported_by(path)}
    assert not roots & {"app", "gradio", "streamlit", "fastapi", "uvicorn"}


@pytest.mark.parametrize("path", modules("app"), ids=str)
def test_the_app_does_not_train(path):
    assert "training" not in layers_of(imported_by(path))


def slow_imports(*names: str) -> list[str]:
    """Which of the slow libraries are loaded once the modules are imported."""
    code = "\n".join(
        [
            "import sys",
            *(f"import {name}" for name in names),
            f"print(*[name for name in {SLOW} if name in sys.modules])",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_check_of_slow_imports_notices_them():
    assert "torch" in slow_imports("torch")


def test_the_app_and_the_segmenter_start_without_torch():
    assert slow_imports("app.models", "model.inference.segmenter", "model.checkpoints.folder") == []


def test_the_server_starts_without_torch():
    assert slow_imports("app.server") == []


def test_help_does_not_wait_for_torch():
    assert slow_imports("model.__main__") == []
