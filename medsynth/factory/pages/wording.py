"""Sentences that the card, Croissant and the seven answers share, so that they cannot differ."""

from __future__ import annotations

from medsynth.factory.pages.facts import Facts

INTENDED = (
    "Training, augmenting and testing software that finds, outlines or classifies lesions, beside real "
    "images and never instead of a test on real patients; teaching; trying out pipelines."
)
NOT_INTENDED = (
    "Diagnosis; evidence on its own that a device is safe or effective; statements about how often a "
    "disease occurs; a test set that stands for a population."
)
ANNOTATION = (
    "Masks were not drawn by a person: each is where its lesion was placed, and was recorded when the "
    "image was made. Labels that a reference already had were carried over from their files."
)
KNOWN_FAILURES = (
    "Findings that a reference had and that were not named as labels are in no mask, and a network "
    "would learn that they are none.",
    "Anatomy follows its reference: what no reference shows (other diseases, devices, rare anatomy) is "
    "not in the set.",
    "Lesions are of the kinds listed and change nothing around them: no retraction of vessels, no "
    "obstruction, no effusion, no enlarged nodes follow from them.",
    "Neighboring slices are sampled together but not by a 3-D network; fine vessels may not continue.",
    "Noise and sharpness are those of the network and the reference, not of a modeled scanner.",
)


def counted(facts: Facts) -> str:
    """How many of what, in one sentence."""
    images, lesions = facts["images"], facts["lesions"]
    what = "images of one slice" if not facts["volumes"] else "images"
    return (
        f"{images['finished']:,} synthetic {what} ({facts['title']}, values in {facts['units']}) with "
        f"{lesions['total']:,} synthetic lesions in {lesions['images_with']:,} of them, made from "
        f"{facts['diversity']['unique_anatomies']:,} anatomies of "
        f"{facts['diversity']['unique_patients']:,} patients or drawn persons."
    )


def made_how(facts: Facts) -> str:
    """The generator, its weights and the references."""
    networks = "; ".join(
        f"{w['name']} (SHA-256 {w['sha256']}, sampler {w['sampler']}, {w['network_calls']} network "
        f"calls an image)"
        for w in facts["weights"]
    )
    images = sum(r["kind"] == "image" for r in facts["references"])
    phantoms = len(facts["references"]) - images
    return (
        f"Guided sampling of a denoising diffusion model with MedSynthSlicer {facts['medsynth']}: each "
        f"image follows the low-frequency content of a reference ({images:,} images, {phantoms:,} drawn "
        f"phantoms), and within a mask that of a lesion. Networks: {networks or 'none recorded'}."
    )


def privacy(facts: Facts) -> str:
    """What of a patient may be in the images."""
    images = sum(r["kind"] == "image" for r in facts["references"])
    if not images:
        guided = (
            "No image is guided by one of a patient; the network was trained on images of patients."
        )
    else:
        guided = (
            f"Images are guided by {images:,} references, whose coarse anatomy they keep: whoever has "
            "the reference may recognize it."
        )
    if facts["real_slices"]:
        guided += f" {facts['real_slices']:,} slices are voxels of references, unchanged."
    audited, finished = facts["audited"], facts["images"]["finished"]
    return (
        f"{guided} {audited:,} of {finished:,} images were compared with the training images of the "
        f"network; near copies refused: {facts['images']['refused']:,}, kept: "
        f"{facts['images']['near_copies_kept']:,}."
    )


# Said where somebody decides what to pass on.
PUBLISH = (
    "`layouts/`, `report/` and these pages name no patient and no folder of a reference; `plan.yaml`, "
    "`plan.jsonl`, `references.json`, `items/`, `refused/` and `quarantine/` do, since they make the set "
    "again: pass on the first, keep the second. `index.html` quotes why images were refused or failed."
)


def missing_groups(facts: Facts) -> list[str]:
    """Subgroups of which nothing is known of any image."""
    silent = []
    for group, counts in facts["subgroups"].items():
        if set(counts) <= {"not stated"}:
            silent.append(group)
    return silent
