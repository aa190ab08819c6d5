"""Puts the parts of the panel together: who gets which controls, and who tells whom."""

from __future__ import annotations

from medsynth.scene.vocabulary import PRESET_TITLES, SAMPLER_TITLES
from MedSynthLib import views
from MedSynthLib.anatomypart import AnatomyPart
from MedSynthLib.auditpart import AuditPart
from MedSynthLib.batchpart import BatchPart
from MedSynthLib.comparepart import ComparePart
from MedSynthLib.computerpart import ComputerPart
from MedSynthLib.filmpart import FilmPart
from MedSynthLib.findingspart import FindingsPart
from MedSynthLib.gallery import Gallery
from MedSynthLib.paintpart import PaintPart
from MedSynthLib.panel import Messages, PreviewPart, ResultPart, RunPart
from MedSynthLib.pathologies import Cards
from MedSynthLib.pathologynodes import parameterNodes
from MedSynthLib.phantompart import PhantomPart
from MedSynthLib.placing import Placing
from MedSynthLib.preferencespart import PreferencesPart
from MedSynthLib.resultviews import ResultViews
from MedSynthLib.sendpart import SendPart
from MedSynthLib.titledbox import TitledBox
from MedSynthLib.undo import Undo
from MedSynthLib.verifypart import VerifyPart


def assemble(widget) -> None:
    """Give the module's widget its parts; those that follow the parameter node are `widget.parts`."""
    ui, resource = widget.ui, widget.resourcePath
    names = ("requirements.txt", "requirements-pacs.txt", "requirements-server.txt")
    packages, pacs, servers = map(resource, names)
    widget.messages = messages = Messages(ui)
    widget.previewPart = PreviewPart(ui, messages)
    widget.results = ResultPart(ui, messages)
    widget.send = SendPart(ui, messages, results=widget.results, requirementsFile=pacs)
    widget.audit = AuditPart(ui, messages, requirementsFile=packages)
    widget.verify = VerifyPart(ui, messages, requirementsFile=packages)
    widget.undo = Undo(ui.undoButton, onFailed=messages.fail)
    widget.views = ResultViews(ui, widget.uiWidget, marked=lambda: widget.cards.onScreen())
    widget.phantom = PhantomPart(ui, messages, onLoaded=widget.onPhantom)
    widget.paintPart = PaintPart(
        ui, marks=lambda: widget.cards.marks()
    )  # before the run, see there
    widget.runPart = RunPart(
        *(ui, messages),
        **{"requirementsFile": packages, "serverFile": servers, "onResults": widget.onResults},
        pathologies=lambda: parameterNodes(widget._parameters.parameterNode),
    )
    widget.comparePart = ComparePart(
        ui.compareContainer,
        **{"uiFile": resource("UI/Compare.ui"), "panel": widget.uiWidget, "messages": messages},
        **{"undo": widget.undo, "runMore": widget.runPart.runMore},
        onThreeD=views.showThreeD,
    )
    widget.batchPart = BatchPart(
        ui.batchContainer,
        **{"uiFile": resource("UI/Batch.ui"), "requirementsFile": packages, "log": messages.log},
        pathologies=lambda: parameterNodes(widget._parameters.parameterNode),
    )
    widget.computerPart = ComputerPart(
        ui.computerContainer,
        **{"uiFile": resource("UI/Computer.ui"), "requirementsFile": servers},
        **{"onChange": widget.runPart.update, "onLog": messages.log},
    )
    placing = Placing(widget.uiWidget)
    widget.anatomyPart = AnatomyPart(
        ui.anatomyContainer,
        **{"uiFile": resource("UI/Anatomy.ui"), "messages": messages, "placing": placing},
        **{"undo": widget.undo, "onDrawn": widget.onModified},
    )
    widget.preferencesPart = PreferencesPart(
        ui,
        **{"results": widget.results, "send": widget.send, "computerPart": widget.computerPart},
        runPart=widget.runPart,
    )
    widget.gallery = Gallery(
        requirementsFile=packages, anatomy=lambda: widget._parameters, messages=messages
    )
    widget.cards = Cards(
        ui.pathologyContainer,
        uiFile=resource("UI/Pathology.ui"),
        anatomy=lambda: widget._parameters,
        **{"placing": placing, "paint": widget.paintPart},
        **{"undo": widget.undo, "gallery": widget.gallery},
        onFactor=widget.previewPart.onPathologyFactor,
        onPlace=widget.onModified,
        onUnreadable=messages.fail,
    )
    widget.parts = (
        # Only the user's own choice brings the preset's defaults, not a scene that is loaded.
        TitledBox(ui.presetComboBox, "preset", PRESET_TITLES, onChosen=widget.onPreset),
        TitledBox(ui.samplerComboBox, "sampler", SAMPLER_TITLES),
        FilmPart(ui, messages, marks=widget.marks, onSaid=widget.onModified),
        FindingsPart(ui, marks=widget.marks, onSaid=widget.onModified),
        *(widget.phantom, widget.previewPart, widget.views, widget.audit, widget.runPart),
        *(widget.anatomyPart, widget.comparePart, widget.batchPart, widget.paintPart),
    )
