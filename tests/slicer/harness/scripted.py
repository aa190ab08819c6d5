"""Small stand-ins for slicer.ScriptedLoadableModule, slicer.packaging, slicer.i18n and SampleData."""

from __future__ import annotations

import importlib.metadata
import types
import unittest
from pathlib import Path
from typing import ClassVar

import slicer
from packaging.requirements import Requirement


class ScriptedLoadableModule:
    def __init__(self, parent):
        super().__init__()
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title, parent.categories, parent.dependencies = "", [], []


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.parent = parent
        self.layout = parent.layout()

    def resourcePath(self, filename):
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / filename)

    def setup(self):
        pass

    def cleanup(self):
        pass


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self):
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.mrmlScene.AddNode(self.createParameterNode())
        if node.GetAttribute("ModuleName") != self.moduleName:
            node.SetAttribute("ModuleName", self.moduleName)
        return node

    def createParameterNode(self):
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    def __init__(self, *arguments):
        super().__init__(*arguments or ("runTest",))

    def delayDisplay(self, message, requestedDelay=None, msec=None):
        pass

    def runTest(self):
        pass


def scriptedLoadableModule() -> types.ModuleType:
    module = types.ModuleType("slicer.ScriptedLoadableModule")
    names = ["ScriptedLoadableModule", "ScriptedLoadableModuleWidget"]
    names += ["ScriptedLoadableModuleLogic", "ScriptedLoadableModuleTest"]
    for name in names:
        setattr(module, name, globals()[name])
    module.__all__ = names
    return module


def i18n() -> types.ModuleType:
    module = types.ModuleType("slicer.i18n")
    module.tr = lambda text: text
    module.translate = lambda context, text: text
    return module


def packaging() -> types.ModuleType:
    """`pip_ensure` asks the test's `consent` and never installs; what it was asked for is kept."""
    module = types.ModuleType("slicer.packaging")
    module.consent, module.asked = True, []

    def load_requirements(path):
        lines = [line.strip() for line in Path(path).read_text().splitlines()]
        return [Requirement(line) for line in lines if line and line[0] not in "#-"]

    def pip_check(requirements):
        requirements = requirements if isinstance(requirements, list) else [requirements]
        for requirement in map(Requirement, map(str, requirements)):
            if requirement.extras or requirement.marker:  # Slicer's looks into them
                raise NotImplementedError(f"this harness knows plain requirements: {requirement}")
            try:
                version = importlib.metadata.version(requirement.name)
            except importlib.metadata.PackageNotFoundError:
                return False
            if version not in requirement.specifier:
                return False
        return True

    def pip_ensure(
        requirements,
        constraints=None,
        skip_packages=None,
        prompt_install=True,
        prompt_restart=True,
        requester=None,
        skip_in_testing=True,
        show_progress=True,
    ):
        missing = [r for r in requirements if not pip_check([r])]
        if not missing:
            return
        module.asked.append(([str(r) for r in missing], requester))
        if not module.consent:
            raise RuntimeError("User declined package installation")

    module.load_requirements, module.pip_check = load_requirements, pip_check
    module.pip_ensure = pip_ensure
    return module


def sampleData() -> types.ModuleType:
    module = types.ModuleType("SampleData")

    class SampleDataLogic:
        sources: ClassVar[list[dict]] = []

        @staticmethod
        def registerCustomSampleDataSource(
            category="Custom",
            sampleName=None,
            uris=None,
            fileNames=None,
            nodeNames=None,
            customDownloader=None,
            thumbnailFileName=None,
            loadFileTypes=None,
            loadFiles=None,
            loadFileProperties=None,
            checksums=None,
            loadFileType=None,
        ):
            source = {k: v for k, v in locals().items() if v is not None}
            SampleDataLogic.sources.append(source)

    module.SampleDataLogic = SampleDataLogic
    return module
