"""How few lesions and patients stand behind many synthetic images, and how alike the images are.

In the mammography paper six lesion patches stand behind up to 1000 images with cancer, and the gain decays
from 5000 synthetic images on: a network learns those lesions rather than lesions.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from PIL import Image

from medsynth.studies.utility.sources import LabeledImages

COMPARED_SIDE = 24
MOST_COMPARED = 1500


def measure_overuse(
    images: LabeledImages, real: LabeledImages, *, most_per_lesion: int
) -> dict[str, Any]:
    """Counts of a source's images by lesion and by reference, how alike they are, and warnings.

    Lesions that are drawn anew each time are sources of their own; `lesions` None: nobody says.
    """
    positive = [fact for fact in images.facts if fact.positive]
    lesions = Counter(fact.lesion for fact in positive if fact.lesion)
    references = Counter(name for fact in images.facts for name in fact.references or ())
    silent = sum(fact.references is None for fact in images.facts)
    found: dict[str, Any] = {
        "images": len(images.facts),
        "with_lesion": len(positive),
        "lesion_sources": len(lesions),
        "lesions_drawn_anew_or_not_named": len(positive) - sum(lesions.values()),
        "images_per_lesion_source": sum(lesions.values()) / len(lesions) if lesions else None,
        "most_of_one_lesion": lesions.most_common(1)[0][1] if lesions else None,
        "reference_patients": len(references),
        "images_per_reference_patient": sum(references.values()) / len(references)
        if references
        else None,
        "without_named_reference": silent,
        "similarity_to_nearest": nearest_similarity(images.pixels),
        "real_similarity_to_nearest": nearest_similarity(real.pixels),
    }
    found["warnings"] = [f"{images.name}: {words}" for words in _words(found, most_per_lesion)]
    return found


def _words(found: dict[str, Any], most_per_lesion: int) -> list[str]:
    words = []
    per_lesion = found["images_per_lesion_source"]
    if per_lesion is not None and per_lesion > most_per_lesion:
        words.append(
            f"{per_lesion:.0f} images per lesion source ({found['lesion_sources']} lesions), more than "
            f"{most_per_lesion}: a network may learn these lesions rather than their kind"
        )
    elif found["most_of_one_lesion"] and found["most_of_one_lesion"] > most_per_lesion:
        words.append(
            f"one lesion is in {found['most_of_one_lesion']} images, more than {most_per_lesion}"
        )
    own, real = found["similarity_to_nearest"], found["real_similarity_to_nearest"]
    if own and real and own["median"] > max(real["p95"], real["median"] + 0.05):
        words.append(
            f"half of the images have another one that is more alike (correlation {own['median']:.2f}) than "
            f"19 of 20 real images have (up to {real['p95']:.2f})"
        )
    return words


def nearest_similarity(pixels: np.ndarray) -> dict[str, float] | None:
    """Correlation of each image (N, side, side) with the most similar other one: median, 95th percentile.

    Seen coarsely, at most `COMPARED_SIDE` pixels a side, so that noise does not hide a near copy.
    """
    if len(pixels) < 3:
        return None
    chosen = pixels[:: max(1, -(-len(pixels) // MOST_COMPARED))]
    size = (min(COMPARED_SIDE, chosen.shape[2]),) * 2
    small = [
        np.asarray(Image.fromarray(p).resize(size, Image.Resampling.BOX), float) for p in chosen
    ]
    flat = np.stack(small).reshape(len(small), -1)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    alike = flat @ flat.T
    np.fill_diagonal(alike, -1)
    nearest = alike.max(axis=1)
    return {
        "median": round(float(np.median(nearest)), 4),
        "p95": round(float(np.quantile(nearest, 0.95)), 4),
    }
