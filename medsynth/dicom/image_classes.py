"""What differs between CT, MR, CR, DX and mammography: one table row per SOP class.

An image is built by whitelist: the `copied` attributes come from the reference where it has a
valid value for them, the `completed` ones are written in any case because the information object
definition requires them (PS3.3 A.2, A.3, A.4, A.26, A.27).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.uid import UID

from medsynth.dicom.provenance import code
from medsynth.domains import Preset

COMMON = (
    "BodyPartExamined",
    "AnatomicRegionSequence",
    "PrimaryAnatomicStructureSequence",
    "PatientPosition",
    "AcquisitionNumber",
    "BurnedInAnnotation",
    "KVP",
    "ExposureTime",
    "XRayTubeCurrent",
    "Exposure",
    "ExposureInuAs",
    "FilterType",
    "FocalSpots",
    "GeneratorPower",
    "DistanceSourceToDetector",
    "DistanceSourceToPatient",
)
VOLUME = ("Laterality", "SliceThickness", "SpacingBetweenSlices", "PositionReferenceIndicator")
PROJECTION = (
    "ImageLaterality",
    "PatientOrientation",
    "ImagerPixelSpacing",
    "PixelSpacing",
    "PixelSpacingCalibrationType",
    "PixelSpacingCalibrationDescription",
    "PositionerType",
    "PositionerPrimaryAngle",
    "PositionerSecondaryAngle",
    "ExposureIndex",
    "TargetExposureIndex",
    "DeviationIndex",
    "Sensitivity",
    "RelativeXRayExposure",
    "BodyPartThickness",
    "Grid",
)
DETECTOR = (
    "DetectorType",
    "DetectorConfiguration",
    "DetectorElementPhysicalSize",
    "DetectorElementSpacing",
    "DetectorActiveShape",
    "DetectorBinning",
    "FieldOfViewShape",
    "FieldOfViewDimensions",
    "FieldOfViewOrigin",
    "FieldOfViewRotation",
    "FieldOfViewHorizontalFlip",
    "PixelIntensityRelationship",
    "PixelIntensityRelationshipSign",
    "PresentationLUTShape",
    "EstimatedRadiographicMagnificationFactor",
    "AnodeTargetMaterial",
    "FilterMaterial",
    "FilterThicknessMinimum",
    "FilterThicknessMaximum",
    "ViewCodeSequence",
)


# Defined terms of BodyPartExamined (PS3.16 annex L) that are not paired: any other one requires the
# side to be named (PS3.3 C.7.3.1, Laterality).
UNPAIRED = frozenset(
    (
        *("ABDOMEN", "ABDOMENPELVIS", "AORTA", "BACK", "BLADDER", "BRAIN", "CHEST"),
        *("CHESTABDOMEN", "CHESTABDPELVIS", "CSPINE", "FACE", "HEAD", "HEADNECK", "HEART", "JAW"),
        *("LARYNX", "LIVER", "LSPINE", "MEDIASTINUM", "NECK", "NECKCHEST", "PANCREAS", "PELVIS"),
        *("PROSTATE", "SKULL", "SPINE", "SPLEEN", "SSPINE", "STERNUM", "STOMACH", "TSPINE"),
        *("UTERUS", "WHOLEBODY"),
    )
)

# CID 4009 for the defined terms of BodyPartExamined (PS3.16 annex L).
REGIONS = {
    "ABDOMEN": code("818981001", "SCT", "Abdomen"),
    "BREAST": code("76752008", "SCT", "Breast"),
    "CHEST": code("816094009", "SCT", "Chest"),
    "FOOT": code("56459004", "SCT", "Foot"),
    "HAND": code("85562004", "SCT", "Hand"),
    "HEAD": code("69536005", "SCT", "Head"),
    "KNEE": code("72696002", "SCT", "Knee"),
    "PELVIS": code("816092008", "SCT", "Pelvis"),
    "SKULL": code("89546000", "SCT", "Skull"),
}


@dataclass(frozen=True)
class ImageClass:
    """One row: which objects of `sop_class` are written, and how.

    `image_type` are the values after DERIVED and SECONDARY. `rescale_type` is the unit that
    RescaleSlope and RescaleIntercept give, None where the class has no rescale of its own.
    Of an attribute in `terms` only those values are copied. `least_bits` and `may_be_signed` bound BitsStored and PixelRepresentation. A `volumetric` class
    has slices with a position in the patient, the others are projections.
    """

    modality: str
    sop_class: UID
    image_type: tuple[str, ...]
    copied: tuple[str, ...]
    completed: Mapping[str, object] = field(default_factory=dict)
    rescale_type: str | None = None
    least_bits: int = 8
    may_be_signed: bool = True
    volumetric: bool = False
    preset_windows: bool = False
    terms: Mapping[str, frozenset[str]] = field(default_factory=dict)


CT = ImageClass(
    "CT",
    UID("1.2.840.10008.5.1.4.1.1.2"),
    image_type=("AXIAL",),
    copied=(
        *COMMON,
        *VOLUME,
        "ScanOptions",
        "DataCollectionDiameter",
        "ReconstructionDiameter",
        "GantryDetectorTilt",
        "TableHeight",
        "RotationDirection",
        "ConvolutionKernel",
        "RevolutionTime",
        "SingleCollimationWidth",
        "TotalCollimationWidth",
        "TableSpeed",
        "TableFeedPerRotation",
        "SpiralPitchFactor",
    ),
    completed={
        "KVP": None,
        "AcquisitionNumber": None,
        "SliceThickness": None,
        "PositionReferenceIndicator": "",
        "PatientPosition": "HFS",
    },
    rescale_type="HU",
    least_bits=12,
    volumetric=True,
    preset_windows=True,
)

MR = ImageClass(
    "MR",
    UID("1.2.840.10008.5.1.4.1.1.4"),
    image_type=("OTHER",),
    copied=(
        "BodyPartExamined",
        "AnatomicRegionSequence",
        "PatientPosition",
        "AcquisitionNumber",
        "BurnedInAnnotation",
        *VOLUME,
        "ScanningSequence",
        "SequenceVariant",
        "ScanOptions",
        "MRAcquisitionType",
        "SequenceName",
        "AngioFlag",
        "RepetitionTime",
        "EchoTime",
        "InversionTime",
        "NumberOfAverages",
        "ImagingFrequency",
        "ImagedNucleus",
        "EchoNumbers",
        "MagneticFieldStrength",
        "NumberOfPhaseEncodingSteps",
        "EchoTrainLength",
        "PercentSampling",
        "PercentPhaseFieldOfView",
        "PixelBandwidth",
        "ReconstructionDiameter",
        "ReceiveCoilName",
        "TransmitCoilName",
        "AcquisitionMatrix",
        "InPlanePhaseEncodingDirection",
        "FlipAngle",
        "VariableFlipAngleFlag",
    ),
    completed={
        # PS3.3 C.8.3.1: RM is research mode, the term for what none of the sequences describes.
        "ScanningSequence": "RM",
        "SequenceVariant": "NONE",
        "ScanOptions": "",
        "MRAcquisitionType": "",
        "RepetitionTime": None,
        "EchoTime": None,
        "EchoTrainLength": None,
        "SliceThickness": None,
        "PositionReferenceIndicator": "",
        "PatientPosition": "HFS",
    },
    volumetric=True,
    # PS3.3 C.8.3.1; scanners add terms of their own.
    terms={
        "ScanningSequence": frozenset(("SE", "IR", "GR", "EP", "RM")),
        "SequenceVariant": frozenset(("SK", "MTC", "SS", "TRSS", "SP", "MP", "OSP", "NONE")),
        "ScanOptions": frozenset(("PER", "RG", "CG", "PPG", "FC", "PFF", "PFP", "SP", "FS")),
    },
)

CR = ImageClass(
    "CR",
    UID("1.2.840.10008.5.1.4.1.1.1"),
    image_type=(),
    copied=(
        *COMMON,
        *PROJECTION,
        "ViewPosition",
        "Laterality",
        "PlateType",
        "PhosphorType",
        "CassetteOrientation",
    ),
    completed={"BodyPartExamined": "", "ViewPosition": "", "PatientOrientation": ""},
    rescale_type="US",
)

_RADIOGRAPH = {
    "PresentationIntentType": "FOR PRESENTATION",
    "AcquisitionContextSequence": [],
    "BurnedInAnnotation": "NO",
    "DetectorType": "",
    "PixelIntensityRelationship": "LOG",
    # PS3.3 C.8.11.3.1.2: -1 as dense tissue, where little radiation arrives, has high values.
    "PixelIntensityRelationshipSign": -1,
    "LossyImageCompression": "00",
}

DX = ImageClass(
    "DX",
    UID("1.2.840.10008.5.1.4.1.1.1.1"),
    image_type=("",),
    copied=(*COMMON, *PROJECTION, *DETECTOR, "ViewPosition"),
    completed={
        **_RADIOGRAPH,
        "AnatomicRegionSequence": [],
        "PositionerType": "",
        "ImageLaterality": "U",
        "PatientOrientation": ["L", "F"],
    },
    rescale_type="US",
    may_be_signed=False,
)

MG = ImageClass(
    "MG",
    UID("1.2.840.10008.5.1.4.1.1.1.2"),
    image_type=("",),
    copied=(
        *COMMON,
        *PROJECTION,
        *DETECTOR,
        "OrganExposed",
        "PartialView",
        "BreastImplantPresent",
        "CompressionForce",
    ),
    completed={
        **_RADIOGRAPH,
        "AnatomicRegionSequence": [REGIONS["BREAST"]],
        "BodyPartExamined": "BREAST",
        "OrganExposed": "BREAST",
        "PositionerType": "MAMMOGRAPHIC",
    },
    rescale_type="US",
    may_be_signed=False,
)

CLASSES = (CT, MR, CR, DX, MG)


def image_class(headers: Sequence[Dataset], preset: Preset) -> ImageClass:
    """The class to write: the reference's own, else by its modality, else by the preset's.

    A reference of a class that is not in the table (multi-frame, For Processing, secondary
    capture) is written as the single-frame, For Presentation class of its modality.

    Raises:
        ValueError: neither the reference nor the preset has a modality that can be written.
    """
    by_uid = {row.sop_class: row for row in CLASSES}
    by_modality = {row.modality: row for row in CLASSES}
    if headers and headers[0].get("SOPClassUID") in by_uid:
        return by_uid[headers[0].SOPClassUID]
    wanted = [headers[0].get("Modality"), preset.modality] if headers else [preset.modality]
    for modality in wanted:
        if modality in by_modality:
            return by_modality[modality]
    raise ValueError(
        f"cannot write DICOM images of modality {wanted[0]!r}, expected one of "
        f"{', '.join(by_modality)}"
    )
