"""MedSynthSlicer: guided synthesis of annotated, clearly marked synthetic medical images."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+?)"', (HERE / "medsynth/__init__.py").read_text()).group(1)

DICOM = [
    "pydicom>=3.0",
    "highdicom>=0.27",
    "pylibjpeg>=2.0",
    "pylibjpeg-openjpeg>=2.3",
    "pylibjpeg-libjpeg>=2.1",
    "pylibjpeg-rle>=2.0",
]
PACS = ["pynetdicom>=3.0", "dicomweb-client>=0.60", "keyring>=24"]
TRAIN = ["tensorboard>=2.14"]
EVAL = ["scikit-learn>=1.3"]
IMAGE_API = ["openai>=2.0"]
STABLE_DIFFUSION = ["diffusers>=0.31", "transformers>=4.44", "peft>=0.13", "accelerate>=0.34"]
SERVE = ["fastapi>=0.110", "uvicorn>=0.29"]
C2PA = ["c2pa-python>=0.32", "cryptography>=42"]
# Its interface is not declared stable; it brings slicer-core and vtk.
WEB = ["trame-slicer[standalone]>=2,<3", "aiohttp>=3.9"]
STUDIES = [
    *SERVE,
    "sqlalchemy>=2.0",
    "statsmodels>=0.14",
    "krippendorff>=0.6",
]
# By way of timm it asks for torchvision, which would replace the CPU build of torch: `make` adds both without
# dependencies.
UTILITY = ["timm>=1.0.9"]
MODELS = [f"medsynth-models=={VERSION}"]  # a library and its networks go together
BUNDLE = ["fire>=0.5", "jsonschema>=4.0", "requests>=2.28"]
ONNX = ["onnx>=1.16", "onnxscript>=0.5", "onnxruntime>=1.18"]
SCALE = ["ray[data]>=2.56", "pyarrow>=14"]
GENERATIVE = ["monai-generative>=0.2.3"]  # for the test that its networks load
# Libraries that read the layouts of data sets: for the tests that they do. No writer needs them.
READERS = ["pycocotools>=2.0.7", "mlcroissant>=1.0.17", "webdataset>=0.2.100"]
NNUNET = ["nnunetv2>=2.5"]
# What nnU-Net's checks and planner import. `make` adds nnU-Net itself without dependencies: by way of timm it
# asks for torchvision, which would replace the CPU build of torch.
NNUNET_PARTS = [
    *("acvl-utils>=0.2.6", "batchgenerators>=0.25.1", "batchgeneratorsv2>=0.3.2", "blosc2>=3.3.2"),
    *(
        "graphviz>=0.20",
        "imagecodecs>=2023.1",
        "scikit-image>=0.19.3",
        "seaborn>=0.12",
        "tifffile>=2023.1",
    ),
    *("yacs>=0.1.8", "connected-components-3d>=3.12"),
]
BUILD = ["build>=1.0", "setuptools>=77"]
TESTS = [
    "pytest>=8.0",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.5",
    "pytest-cov>=5.0",
    "playwright>=1.40",
]
LINT = ["ruff>=0.8", "mypy>=1.10", "types-PyYAML", "types-psutil", "types-requests"]
DOCS = ["mkdocs-material>=9.5", "mkdocstrings[python]>=0.26"]
NOTEBOOKS = ["nbclient>=0.10", "nbformat>=5.10", "ipykernel>=6.29"]
DEV = [
    *C2PA,
    *(*TESTS, *IMAGE_API, *STABLE_DIFFUSION, *STUDIES, *LINT, *BUILD, *PACS, *TRAIN, *EVAL),
    *(*BUNDLE, *ONNX, *SCALE, *GENERATIVE, *READERS, *NNUNET_PARTS, *DOCS, *NOTEBOOKS),
]

setup(
    name="medsynth-slicer",
    version=VERSION,
    description=__doc__.strip(),
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.13",
    packages=find_packages(include=["medsynth", "medsynth.*"]),
    package_data={
        "medsynth": [
            "py.typed",
            "factory/plans/*.yaml",
            "networks/index.json",
            "pages/*.css",
            "pages/*.html",
            "pipeline/report/*.html",
            "serve/*.html",
            "factory/pages/*.html",
            "studies/reading/page/*.*",
            "studies/reading/report/*.html",
            "studies/utility/*.yaml",
            "studies/utility/report/*.html",
            "training/recipes/*.yaml",
            "web/*.html",
            "web/assets/*.*",
            "training/systems/recipes/*.yaml",
        ]
    },
    install_requires=[
        "torch>=2.3",
        "monai>=1.4",
        "einops>=0.7",
        "numpy>=1.24",
        "scipy>=1.10",
        "SimpleITK>=2.3",
        "nibabel>=5.0",
        "itk>=5.3",
        "safetensors>=0.4",
        "pyyaml>=6.0",
        "pillow>=10.0",
        "matplotlib>=3.7",
        "psutil>=5.9",
        *DICOM,
    ],
    extras_require={
        "dicom": DICOM,
        "pacs": PACS,
        "train": TRAIN,
        "eval": EVAL,
        "studies": STUDIES,
        "utility": UTILITY,
        "bundle": BUNDLE,
        "onnx": ONNX,
        "scale": SCALE,
        "generative": GENERATIVE,
        "readers": [*READERS, *NNUNET],
        "docs": DOCS,
        "image-api": IMAGE_API,
        "stable-diffusion": STABLE_DIFFUSION,
        "serve": SERVE,
        "c2pa": C2PA,
        "web": WEB,
        "models": MODELS,
        "dev": DEV,
    },
    entry_points={"console_scripts": ["medsynth = medsynth.cli.app:main"]},
)
