"""A combo box that shows titles for a field of a parameter node that holds names.

Slicer's own connector shows the field's values as they are, and always all of them.
"""

from __future__ import annotations


class Follower:
    """Shows what a parameter node says; `update` is the subclass's."""

    parameters = None

    def setParameters(self, parameters) -> None:
        """Follow this parameter node."""
        self.parameters = parameters
        self.update()


class TitledBox(Follower):
    """Keeps one combo box and one text field equal.

    Args:
        box: the combo box; its property `MedSynthParameter` names the field in the .ui file.
        field: the field's name.
        titles: name -> what is shown.
        onChosen: called after the user chose.
    """

    def __init__(self, box, field: str, titles: dict[str, str], *, onChosen=None):
        self.box, self.field, self.titles = box, field, titles
        self.onChosen = onChosen
        self.parameters = None
        self.names: list[str] = []
        self.offer(list(titles))
        # Only the user's own choice: "activated" is not sent when the box is filled or set.
        box.connect("activated(int)", self._chosen)

    def offer(self, names: list[str]) -> None:
        """Offer these, in this order."""
        if names == self.names:
            return
        self.names = names
        self.box.clear()
        for name in names:
            self.box.addItem(self.titles[name])
        self.update()

    def update(self) -> None:
        """Show what the parameter node says; nothing where that is not offered."""
        if self.parameters is None:
            return
        name = getattr(self.parameters, self.field)
        self.box.currentIndex = self.names.index(name) if name in self.names else -1

    def _chosen(self, row: int) -> None:
        setattr(self.parameters, self.field, self.names[row])
        if self.onChosen is not None:
            self.onChosen()
