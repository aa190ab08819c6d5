"""The panel in a running Slicer: settings go from the controls into the scene and come back."""

import unittest

import slicer
from MedSynthLib import selftest


class MedSynthPanelTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear()
        slicer.util.selectModule("MedSynth")
        self.panel = slicer.modules.medsynth.widgetRepresentation().self()

    def test_controls_and_scene_agree(self):
        volume = selftest.obliqueVolume()
        self.panel.ui.referenceSelector.setCurrentNode(volume)
        self.panel.ui.factorSlider.value = 13
        self.panel.ui.addPathologyButton.click()
        parameters = self.panel.logic.getParameterNode()
        assert parameters.reference.GetID() == volume.GetID()
        assert parameters.factor == 13
        assert len(self.panel.cards.cards) == 1
        assert "mm" in self.panel.ui.factorLabel.text

    def test_run_says_why_it_cannot_be_pressed(self):
        self.panel.ui.referenceSelector.setCurrentNode(selftest.obliqueVolume())
        self.panel.ui.addPathologyButton.click()
        assert not self.panel.ui.runButton.enabled
        assert "mark its place first" in self.panel.ui.estimateLabel.text
        assert self.panel.runPart.synthesis is None
