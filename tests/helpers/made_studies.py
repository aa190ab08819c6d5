"""Small studies of made-up pictures, and readers of known skill who answer them."""

import numpy as np
from PIL import Image

from medsynth.studies.reading.candidates import ImageSource
from medsynth.studies.reading.create import StudyOptions, create_study
from medsynth.studies.reading.session import StudySession


def make_pictures(folder, count, *, seed, side=48):
    """Blobs of gray, as 8-bit PNG: whoever draws real and synthetic from one seed has equal kinds."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for k in range(count):
        plane = rng.normal(120, 30, (side // 4, side // 4)).repeat(4, 0).repeat(4, 1)
        Image.fromarray(np.clip(plane, 0, 255).astype(np.uint8)).save(folder / f"{k:03}.png")
    return folder


def make_study(folder, *, readers=("Ana", "Ben"), generators=1, seed=5, **options):
    """A study folder of made-up pictures, and its readers' links."""
    items = options.get("items", 8)
    count = items + options.get("warmup", 0) + options.get("naive", 0)
    where = folder.parent / f"{folder.name}-pictures"
    sources = [ImageSource("real", make_pictures(where / "real", count, seed=1), False)]
    for n in range(generators):
        made = make_pictures(where / f"made{n}", count, seed=2 + n)
        sources.append(ImageSource(f"made{n}", made, True))
    links = create_study(
        folder, sources, StudyOptions(readers=tuple(readers), seed=seed, **{"items": 8, **options})
    )
    return links


def answer_all(folder, skill, *, seed=0, until=None, unsure=0.0):
    """Every reader answers everything; `skill` (or skill by reader): the chance to be right."""
    session, rng = StudySession(folder), np.random.default_rng(seed)
    fields = {"role": "other", "experience_years": "3", "ai_knowledge": "nothing"}
    for reader in session.design.readers:
        chance = skill[reader.name] if isinstance(skill, dict) else skill
        given = 0
        while until is None or given < until:
            state = session.state(reader)
            if state["status"] == "sign in":
                session.sign_in(reader, fields)
                continue
            if state["status"] != "reading":
                break
            showing = reader.orders[state["phase"]][state["position"]]
            kind = session.design.phases[state["phase"]].kind
            answer = _answer(kind, session.design.index[showing.item], showing, chance, rng, unsure)
            session.answer(
                reader,
                {
                    **{key: state[key] for key in ("phase", "position")},
                    "nonce": rng.bytes(8).hex(),
                    "answer": answer,
                    "sure": int(rng.integers(1, 6)),
                    "seconds": 4.5,
                },
            )
            given += 1
    return session


def _answer(kind, item, showing, chance, rng, unsure):
    right = rng.random() < chance
    if kind == "quality":
        return "4"
    if kind == "pair":
        return "right" if right == showing.mirrored else "left"
    if kind == "confidence":
        return "90" if right == item.synthetic else "10"
    if kind == "finding":
        return "no"
    if kind == "real_fake_unsure" and rng.random() < unsure:
        return "unsure"
    return "fake" if right == item.synthetic else "real"
