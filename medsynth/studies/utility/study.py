"""A utility study as its file says it: every key known, every value in its range; no image is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medsynth import domains
from medsynth.request import fields, read_mapping

FORMAT = "medsynth utility 1"
MODES = ("add", "replace", "only")
SPREADS = ("images", "each")
KEYS = (
    *("format", "title", "task", "image", "train", "test", "validation", "synthetic", "controls"),
    *("modes", "sizes", "positives", "seeds", "epochs", "steps", "network", "weights", "batch"),
    *("learning_rate", "augmentation", "most_per_lesion", "seed"),
)
SOURCE_KEYS = (
    *("images", "layout", "table", "set", "patients", "without", "split", "preset", "crop_mm"),
    *("crops_without_lesion", "pixel_mm"),
)
CONTROL_KEYS = ("duplicated", "augmented", "equal_steps", "pasted")
LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class UtilitySource:
    """Where images come from: a collection in a layout, or a set of `medsynth dataset`.

    Attributes:
        name: as tables call it.
        folder: of the collection, or of the set.
        layout: one of `medsynth.datasets.layouts`; "set" for a data set of ours.
        table: the CSV file of the layout `table`.
        patients, without: patients to take (empty: all) and to leave out, by name, glob or range.
        split: of a set or table: only this split; "" takes all.
        preset: the domain, which says where lesions can be; needed for crops of a collection.
        crop_mm: cut a square of this side around each lesion, and others where there is none; None: whole
            images.
        crops_without_lesion: how many of the others from each image.
        pixel_mm: pixel size of files that do not say it.
        pasted: the set's lesions before the network acted: pasted, not diffused.
    """

    name: str
    folder: Path
    layout: str
    table: str = ""
    patients: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    split: str = ""
    preset: str = ""
    crop_mm: float | None = None
    crops_without_lesion: int = 1
    pixel_mm: float | None = None
    pasted: bool = False

    @property
    def is_set(self) -> bool:
        """Whether it is a set of `medsynth dataset`."""
        return self.layout == "set"


@dataclass(frozen=True)
class StudyControls:
    """Rows of the table without which a gain means nothing; `pasted` names its sources."""

    duplicated: bool = True
    augmented: bool = True
    equal_steps: bool = True
    pasted: tuple[UtilitySource, ...] = ()


@dataclass(frozen=True)
class UtilityStudy:
    """One study.

    Attributes:
        positive, negative: labels of the two classes; `negative` empty: whatever is not positive.
        side: of the square that the network sees, in pixels.
        window: center and width in HU; None: gray values as a display shows them.
        each: every image is brought to mean 0 and deviation 1 by itself; else all by one scale.
        validation: share of the training patients that choose the threshold.
        positives: share of positive images in every training set; None: as the real images have it.
        epochs, steps: one of them: passes over the training set, or optimizer steps of every arm.
        most_per_lesion: more synthetic images than this of one lesion are warned of.
    """

    title: str
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    side: int
    window: tuple[float, float] | None
    each: bool
    train: tuple[UtilitySource, ...]
    test: tuple[UtilitySource, ...]
    validation: float
    synthetic: tuple[UtilitySource, ...]
    controls: StudyControls
    modes: tuple[str, ...]
    sizes: tuple[int, ...]
    positives: float | None
    seeds: int
    epochs: int | None
    steps: int | None
    network: str
    weights: Path | None
    batch: int
    learning_rate: float
    augmentation: bool
    most_per_lesion: int
    seed: int


def load_study(path: Path | str) -> UtilityStudy:
    """The study in a YAML or JSON file; relative paths in it start at its folder.

    Raises:
        ValueError: what `parse_study` says, or no such text.
        FileNotFoundError: the file, or a folder that it names, is not there.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no such study: {path.absolute()}")
    return parse_study(read_mapping(path), path.absolute().parent)


def parse_study(raw: Mapping[str, Any], base: Path) -> UtilityStudy:
    """The study that `raw` describes.

    Raises:
        ValueError, FileNotFoundError: the message opens with the key's path.
    """
    raw = fields.mapping(raw, "", keys=KEYS)
    if raw.get("format", FORMAT) != FORMAT:
        raise fields.refusal("format", FORMAT, raw["format"])
    positive, negative = _task(raw)
    side, window, each = _image(raw.get("image", {}))
    train, test = (
        _sources(fields.required(raw, key, "", example=f"{key}: {{images: DIR}}"), key, base)
        for key in ("train", "test")
    )
    synthetic = _sources(raw["synthetic"], "synthetic", base) if "synthetic" in raw else ()
    epochs, steps = _budget(raw)
    return UtilityStudy(
        title=fields.text(raw.get("title", "Utility study"), "title"),
        positive=positive,
        negative=negative,
        side=side,
        window=window,
        each=each,
        train=train,
        test=test,
        validation=fields.number(raw.get("validation", 0.2), "validation", low=0.0, high=0.6),
        synthetic=synthetic,
        controls=_controls(raw.get("controls", {}), synthetic, base),
        modes=fields.several_of(raw.get("modes", "add"), "modes", choices=MODES),
        sizes=_sizes(raw.get("sizes", ()), needed=bool(synthetic)),
        positives=_share(raw.get("positives")),
        seeds=fields.integer(raw.get("seeds", 5), "seeds", low=1, high=100),
        epochs=epochs,
        steps=steps,
        network=fields.text(raw.get("network", "convnext_atto"), "network"),
        weights=_weights(raw.get("weights"), base),
        batch=fields.integer(raw.get("batch", 32), "batch", low=2, high=4096),
        learning_rate=fields.number(
            raw.get("learning_rate", 1e-3), "learning_rate", above=0, high=1
        ),
        augmentation=fields.flag(raw.get("augmentation", False), "augmentation"),
        most_per_lesion=fields.integer(raw.get("most_per_lesion", 20), "most_per_lesion", low=1),
        seed=fields.integer(raw.get("seed", 0), "seed", low=0, high=LARGEST_SEED),
    )


def _task(raw: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    example = "task: {positive: Edema, negative: No Finding}"
    task = fields.mapping(
        fields.required(raw, "task", "", example=example), "task", keys=("positive", "negative")
    )
    positive = _texts(fields.required(task, "positive", "task", example=example), "task.positive")
    negative = _texts(task.get("negative", ()), "task.negative")
    if not positive:
        raise fields.refusal("task.positive", "a label, or several", task["positive"])
    both = sorted(set(positive) & set(negative))
    if both:
        raise ValueError(f"task: {both[0]!r} is positive and negative; remove it from one of them")
    return positive, negative


def _image(value: Any) -> tuple[int, tuple[float, float] | None, bool]:
    raw = fields.mapping(value, "image", keys=("side", "window", "scale"))
    window = raw.get("window")
    if window is not None:
        if not isinstance(window, (list, tuple)) or len(window) != 2:
            raise fields.refusal("image.window", "center and width such as [-600, 1500]", window)
        center = fields.number(window[0], "image.window[0]")
        window = (center, fields.number(window[1], "image.window[1]", above=0))
    each = fields.one_of(raw.get("scale", "images"), "image.scale", choices=SPREADS) == "each"
    return fields.integer(raw.get("side", 224), "image.side", low=16, high=1024), window, each


def _sources(value: Any, at: str, base: Path) -> tuple[UtilitySource, ...]:
    entries = value if isinstance(value, (list, tuple)) else [value]
    if not entries:
        raise fields.refusal(at, "a source such as {images: FOLDER}", value)
    single = len(entries) == 1
    named = at in ("synthetic", "controls.pasted")
    found = [
        _source(entry, at if single else f"{at}[{index}]", base, named=named)
        for index, entry in enumerate(entries)
    ]
    names = [source.name for source in found]
    for name in names:
        if named and names.count(name) > 1:
            raise ValueError(f"{at}: two sources are called {name}; give each a name of its own")
    return tuple(found)


def _source(value: Any, at: str, base: Path, *, named: bool) -> UtilitySource:
    raw = fields.mapping(value, at, keys=(*SOURCE_KEYS, "name") if named else SOURCE_KEYS)
    kind = fields.exclusive(raw, at, first=("images",), second=("set",))
    for key in ("layout", "table", "preset", "pixel_mm") if kind == "set" else ():
        if key in raw:
            raise ValueError(f"{at}.{key}: a set knows it itself; remove it")
    folder = fields.existing_path(raw[kind], f"{at}.{kind}", base=base)
    preset = fields.text(raw["preset"], f"{at}.preset") if "preset" in raw else ""
    if preset:
        domains.get(preset)
    crop = raw.get("crop_mm")
    if crop is not None and kind == "images" and not preset:
        raise ValueError(f"{at}.crop_mm: needs {at}.preset, which says where lesions can be")
    pixel = raw.get("pixel_mm")
    return UtilitySource(
        name=fields.text(raw.get("name", folder.name), f"{at}.name"),
        folder=folder,
        layout="set" if kind == "set" else fields.text(raw.get("layout", "table"), f"{at}.layout"),
        table=fields.text(raw["table"], f"{at}.table") if "table" in raw else "",
        patients=_texts(raw.get("patients", ()), f"{at}.patients"),
        without=_texts(raw.get("without", ()), f"{at}.without"),
        split=fields.text(raw["split"], f"{at}.split") if "split" in raw else "",
        preset=preset,
        crop_mm=None if crop is None else fields.number(crop, f"{at}.crop_mm", above=0, high=500),
        crops_without_lesion=fields.integer(
            raw.get("crops_without_lesion", 1), f"{at}.crops_without_lesion", low=0, high=100
        ),
        pixel_mm=None
        if pixel is None
        else fields.number(pixel, f"{at}.pixel_mm", above=0, high=100),
    )


def _controls(value: Any, synthetic: tuple[UtilitySource, ...], base: Path) -> StudyControls:
    raw = fields.mapping(value, "controls", keys=CONTROL_KEYS)
    flags = {
        key: fields.flag(raw.get(key, True), f"controls.{key}")
        for key in CONTROL_KEYS
        if key != "pasted"
    }
    sets = tuple(source for source in synthetic if source.is_set)
    asked = raw.get("pasted", bool(sets))
    if isinstance(asked, bool):
        if asked and not sets:
            raise ValueError(
                "controls.pasted: of your own images nobody here knows what they were before the "
                "network; give a folder of them, such as pasted: {images: FOLDER}, or false"
            )
        return StudyControls(**flags, pasted=tuple(_before(s) for s in sets) if asked else ())
    return StudyControls(**flags, pasted=_sources(asked, "controls.pasted", base))


def _before(source: UtilitySource) -> UtilitySource:
    """The same set with its lesions pasted only."""
    return replace(source, name=f"{source.name}, pasted", pasted=True)


def _budget(raw: Mapping[str, Any]) -> tuple[int | None, int | None]:
    if "epochs" in raw and "steps" in raw:
        raise ValueError("epochs and steps exclude each other; keep one of the two")
    if "steps" in raw:
        return None, fields.integer(raw["steps"], "steps", low=1, high=10_000_000)
    return fields.integer(raw.get("epochs", 20), "epochs", low=1, high=100_000), None


def _sizes(value: Any, *, needed: bool) -> tuple[int, ...]:
    given = value if isinstance(value, (list, tuple)) else [value]
    sizes = tuple(fields.integer(v, f"sizes[{i}]", low=1) for i, v in enumerate(given))
    if needed and not sizes:
        raise ValueError("sizes: missing; write how many synthetic images, for example [100, 200]")
    return tuple(sorted(set(sizes)))


def _share(value: Any) -> float | None:
    return None if value is None else fields.number(value, "positives", low=0.01, high=0.99)


def _weights(value: Any, base: Path) -> Path | None:
    return None if value is None else fields.existing_path(value, "weights", base=base)


def _texts(value: Any, at: str) -> tuple[str, ...]:
    entries = value if isinstance(value, (list, tuple)) else [value]
    return tuple(fields.text(entry, f"{at}[{i}]") for i, entry in enumerate(entries))
