"""Do words and classes steer what is drawn? The table of docs/experiments.md.

python benchmarks/steering.py ../shared/data FOLDER... [-o OUT.json]

Each FOLDER holds chest radiographs of `medsynth generate` (`text_to_image`, `latent_diffusion` or `pggan`). With
`--guided N` an empty one is filled first with N radiographs for each field: of people held out, without a finding,
with an opacity that a request of guided synthesis places in the middle of the field.

- place: the field that `medsynth.datasets.opacity` finds most opaque, against radiographs without a finding:
  thirds of the image, and thirds of the lungs that are found. Chance is how often that field is found among the
  folder's images that were not asked for it.
- word: a small classifier learns the word from half of the real training patients; its AUC on the other half,
  and on generated images, asked for the word against all that were not.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from medsynth import synthesize
from medsynth.datasets import opacity
from medsynth.datasets.captions import words_of
from medsynth.datasets.data import load_slices
from medsynth.datasets.splits import share
from medsynth.training.systems import images as training_images
from medsynth.training.systems import recipe
from medsynth.training.systems.class_latents import auc, fit_classifier, seen, targets_of

DRAWS = 2000  # of the bootstrap
DIAMETER = 50  # of an opacity, in pixels of 256
FEWEST = 40  # real images with a word that is learned


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder that holds chest_xray")
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--guided", metavar="N", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path)
    args = parser.parse_args()
    real = real_images(args.data)
    if args.guided:
        write_guided(real, args.folders[0], args.guided)
    images, words = [], []
    for folder in args.folders:
        for image, said in read_folder(folder):
            images.append(image)
            words.append(said)
    found = {
        "place, thirds of the image": places(real, np.stack(images), words, of_lungs=False),
        "place, thirds of the lungs": places(real, np.stack(images), words, of_lungs=True),
        "word": findings(real, np.stack(images), words),
    }
    print(json.dumps(found, indent=2))
    if args.out:
        args.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def read_folder(folder: Path) -> list[tuple[np.ndarray, list[str]]]:
    """Images (256, 256) in gray values, and the words that each was asked for."""
    found = []
    for file in sorted((folder / "images").glob("*.png")):
        record = json.loads((folder / "records" / f"{file.stem}.json").read_text())
        said = [*record.get("words", ()), record.get("class") or ""]
        with Image.open(file) as picture:
            gray = picture.convert("L").resize((256, 256), Image.Resampling.BICUBIC)
        found.append((np.asarray(gray), [word for word in said if word]))
    return found


def write_guided(real, folder: Path, count: int) -> None:
    """Guided synthesis with an opacity in each field of `count` radiographs of people held out."""
    preset, data = real.preset, real.source.data
    held_out = load_slices(data, preset=preset, split=real.split, held_out=True)
    entries = {entry.name: entry for entry in real.split.held_out}
    normal = [
        k
        for k, name in enumerate(held_out.series)
        if opacity.NORMAL in words_of(entries[name], preset)
    ]
    for part in ("images", "records"):
        (folder / part).mkdir(parents=True)
    masks = opacity.field_masks(preset.grid)
    for which, index in enumerate(normal[:count]):
        for number, (field, mask) in enumerate(zip(opacity.FIELDS, masks, strict=True)):
            center = [float(axis.mean()) for axis in np.nonzero(mask)[::-1]]
            made = synthesize(
                {
                    "preset": preset.name,
                    "anatomy": {"image": held_out.images[index][None].astype(np.float32)},
                    "pathologies": [
                        {
                            "center_mm": [*center, 0],
                            "diameter_mm": DIAMETER,
                            "source": {"procedural": {"kind": "opacity"}},
                        }
                    ],
                    "seed": 6 * which + number,
                },
                spacing_mm=(1.0, 1.0, 1.0),
            )
            name = f"{6 * which + number + 1:06d}"
            gray = np.asarray(made.image)[0].clip(0, 255).round().astype(np.uint8)
            Image.fromarray(gray).save(folder / "images" / f"{name}.png")
            (folder / "records" / f"{name}.json").write_text(json.dumps({"words": [field]}))


def real_images(data: Path) -> training_images.SourceImages:
    """The training radiographs, which no figure is measured on, with the words of their table."""
    _, whole = recipe.load(recipe.FOLDER / "pggan_64.yaml", data=str(data))
    (source,) = training_images.read_sources(whole.sources, run=Path("/tmp/steering"))
    return source


def places(
    real, images: np.ndarray, words: list[list[str]], *, of_lungs: bool
) -> dict[str, object]:
    """Share of images whose most opaque field is the one that was asked for, and chance."""
    normal = [k for k, said in enumerate(real.words) if opacity.NORMAL in said]
    fields = opacity.fit(real.slices.images[normal], of_lungs=of_lungs)
    top = fields.scores(images).argmax(axis=1)
    wanted = np.array(
        [next((opacity.FIELDS.index(w) for w in said if w in opacity.FIELDS), -1) for said in words]
    )
    kept = wanted >= 0
    if not kept.any():
        return {}
    right = top[kept] == wanted[kept]
    chance = [
        float(np.mean(top[kept & (wanted != field)] == field))
        for field in sorted(set(wanted[kept]))
    ]
    side = top[kept] % 2 == wanted[kept] % 2
    of_each = {
        opacity.FIELDS[f]: [int((top[wanted == f] == f).sum()), int((wanted == f).sum())]
        for f in sorted(set(wanted[kept]))
    }
    return {
        "images": int(kept.sum()),
        "in the asked field": interval(right),
        "chance": float(np.mean(chance)),
        "on the asked side": interval(side),
        "of each field": of_each,
    }


def findings(real, images: np.ndarray, words: list[list[str]]) -> dict[str, object]:
    """The AUC of each word that was asked of some images and not of others."""
    names, targets = targets_of(real.words, fewest=FEWEST)
    asked = [n for n in names if 3 <= sum(n in said for said in words) <= len(words) - 3]
    if not asked:
        return {}
    unit = torch.stack([real.unit(i) for i in range(len(real.slices.images))])
    small, made = seen(unit), seen(torch.from_numpy(images)[:, None].float() / 127.5 - 1)
    # The classes of a GAN are found by a classifier of the other half.
    half = torch.tensor([share(patient) >= 0.5 for patient in real.slices.patients])
    network = fit_classifier(small[half], targets[half], steps=400, seed=0)
    on_real, on_made = network(small[~half]).numpy(), network(made).numpy()
    found = {}
    for name in asked:
        column = names.index(name)
        positive = np.array([name in said for said in words])
        found[name] = {
            "asked": int(positive.sum()),
            "others": int((~positive).sum()),
            "AUC of real images": auc(on_real[:, column], targets[~half, column].numpy() > 0),
            "AUC of made images": bootstrapped(on_made[:, column], positive),
        }
    return found


def interval(hits: np.ndarray) -> list[float]:
    """A share with its 95 % interval."""
    rng = np.random.default_rng(0)
    draws = rng.choice(hits, size=(DRAWS, len(hits))).mean(axis=1)
    return [float(v) for v in (hits.mean(), *np.quantile(draws, (0.025, 0.975)))]


def bootstrapped(scores: np.ndarray, positive: np.ndarray) -> list[float]:
    """An AUC with its 95 % interval."""
    rng = np.random.default_rng(0)
    yes, no = scores[positive], scores[~positive]
    label = np.r_[np.ones(len(yes), bool), np.zeros(len(no), bool)]
    draws = [
        auc(np.r_[rng.choice(yes, len(yes)), rng.choice(no, len(no))], label) for _ in range(DRAWS)
    ]
    return [auc(scores, positive), *(float(v) for v in np.quantile(draws, (0.025, 0.975)))]


if __name__ == "__main__":
    main()
