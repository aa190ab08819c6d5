"""What a radiograph or mammogram shows, where no DICOM reference says it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pydicom.dataset import Dataset

from medsynth.dicom.image_classes import ImageClass
from medsynth.dicom.provenance import code
from medsynth.errors import check_one_of

# CID 4014, the views of mammography.
MAMMOGRAPHY_VIEWS = {
    "CC": ("399162004", "cranio-caudal"),
    "MLO": ("399368009", "medio-lateral oblique"),
    "ML": ("399260004", "medio-lateral"),
    "LM": ("399352003", "latero-medial"),
}

# The codes of SNOMED RT for them, which older files have.
OLD_MAMMOGRAPHY_VIEWS = {"R-10242": "CC", "R-10226": "MLO", "R-10224": "ML", "R-10228": "LM"}

# CID 4010, for the defined terms of ViewPosition (PS3.3 C.8.11.5).
RADIOGRAPH_VIEWS = {
    "PA": ("272479007", "postero-anterior"),
    "AP": ("399348003", "antero-posterior"),
    "LL": ("399173006", "left lateral"),
    "RL": ("399198007", "right lateral"),
}


def said_by(header: Dataset) -> dict[str, str]:
    """The `view` and the `laterality` that a header says; empty where it does not."""
    coded = header.get("ViewCodeSequence") or [Dataset()]
    known = {**MAMMOGRAPHY_VIEWS, **RADIOGRAPH_VIEWS}
    names = {value: name for name, (value, _) in known.items()} | OLD_MAMMOGRAPHY_VIEWS
    view = names.get(coded[0].get("CodeValue"), "")
    side = str(header.get("ImageLaterality") or header.get("Laterality") or "")
    return {
        "view": view or coded[0].get("CodeMeaning", "") or str(header.get("ViewPosition") or ""),
        "laterality": side if side in ("L", "R", "B") else "",
    }


@dataclass(frozen=True)
class Projection:
    """How the picture was taken.

    `view` is CC, MLO, ML or LM for mammography and PA, AP, LL or RL for radiographs. `laterality`
    is L, R, B or U (unpaired). `orientation` says where rows and columns lead in the patient
    (PS3.3 C.7.6.1.1.1); without it mammograms are taken to be hung as usual, chest wall to the
    left for a left breast and to the right for a right one, and radiographs with the patient's left
    on the right of the picture.
    """

    view: str = ""
    laterality: str = ""
    orientation: tuple[str, str] | None = None

    def write(self, dataset: Dataset, row: ImageClass) -> None:
        """Put view, laterality and orientation into a projection of class `row`.

        Raises:
            ValueError: mammography without a view or a side, or a view that there is not.
        """
        if row.modality == "MG":
            self._write_mammogram(dataset)
        elif self.view:
            self._write_radiograph(dataset, coded=row.modality == "DX")
        if self.laterality and row.modality != "CR":
            dataset.ImageLaterality = self.laterality
        if self.orientation is not None:
            dataset.PatientOrientation = list(self.orientation)

    def complete(self, dataset: Dataset, header: Dataset) -> None:
        """Put into a mammogram what its reference's `header` does not say in the way it has to.

        Old files have the view in ViewPosition, or the side in Laterality, and no coded view.
        """
        for view in dataset.get("ViewCodeSequence", []):
            if "ViewModifierCodeSequence" not in view:
                view.ViewModifierCodeSequence = []  # PS3.3 C.8.11.7: type 2
        required = ("ViewCodeSequence", "PatientOrientation", "ImageLaterality")
        missing = [keyword for keyword in required if not dataset.get(keyword)]
        if not missing:
            return
        said = said_by(header)
        full = replace(
            self,
            view=said["view"] or self.view,
            laterality=said["laterality"] or self.laterality,
        )
        written = Dataset()
        full._write_mammogram(written)
        written.ImageLaterality = full.laterality
        for keyword in missing:
            dataset[keyword] = written[keyword]

    def _write_mammogram(self, dataset: Dataset) -> None:
        if self.view not in MAMMOGRAPHY_VIEWS or self.laterality not in ("L", "R"):
            raise ValueError(
                f"a mammogram needs a view ({', '.join(MAMMOGRAPHY_VIEWS)}) and a laterality "
                f"(L or R), got view {self.view!r} and laterality {self.laterality!r}"
            )
        dataset.ViewCodeSequence = [_coded(*MAMMOGRAPHY_VIEWS[self.view])]
        dataset.PatientOrientation = list(self._hanging())

    def _write_radiograph(self, dataset: Dataset, *, coded: bool) -> None:
        check_one_of("the view of a radiograph", self.view, RADIOGRAPH_VIEWS)
        dataset.ViewPosition = self.view
        if coded:
            dataset.ViewCodeSequence = [_coded(*RADIOGRAPH_VIEWS[self.view])]

    def _hanging(self) -> tuple[str, str]:
        left = self.laterality == "L"
        along_rows = "A" if left else "P"
        if self.view == "CC":
            return along_rows, "R" if left else "L"
        if self.view == "MLO":
            return along_rows, "FR" if left else "FL"
        return along_rows, "F"


def _coded(value: str, meaning: str) -> Dataset:
    view = code(value, "SCT", meaning)
    view.ViewModifierCodeSequence = []
    return view
