"""Every image of a set compared with the images that the network was trained on; near copies are refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from medsynth import domains
from medsynth.evaluation.memorization.auditor import Auditor
from medsynth.events import Event, Listener, Stage, ignore
from medsynth.factory.folder import REFUSED
from medsynth.factory.item import ITEMS
from medsynth.factory.plan import AuditPlan, Plan
from medsynth.factory.rows import PlanRow
from medsynth.records.audit import Audit
from medsynth.storage.files import replace_text
from medsynth.training.recipe import Recipe, load_recipe


def audit_set(
    plan: Plan, folder: Path, rows: Sequence[PlanRow], *, listener: Listener = ignore
) -> list[str]:
    """Audit what was not audited yet; the ids of the images that were refused now.

    Raises:
        ValueError: the recipe is of another domain, or its images cannot be compared with.
    """
    assert plan.audit is not None
    items = [folder / ITEMS / row.id for row in rows if (folder / ITEMS / row.id).is_dir()]
    left = [item for item in items if not _is_audited(item)]
    refused = [item for item in items if item not in left and not _cleared(plan.audit, item)]
    if left:
        auditor = _auditor(plan.audit, plan, listener)
        with Stage("auditing images", total=len(left), listener=listener) as stage:
            for item in left:
                audit = auditor.audit(item)
                if audit.copies and plan.audit.near_copies == "refuse":
                    refused.append(item)
                stage.advance(message=audit.verdict, id=item.name)
    for item in refused:
        _refuse(folder, item, listener)
    return [item.name for item in refused]


def recipe_of(asked: AuditPlan, plan: Plan) -> Recipe:
    """What the network was trained with.

    Raises:
        ValueError: no such recipe, or one of another domain.
    """
    recipe = load_recipe(asked.recipe, overrides={"data.root": str(asked.data)})
    if recipe.preset != plan.preset:
        raise ValueError(
            f"audit.recipe: {asked.recipe} trains {recipe.preset}, the plan is of {plan.preset}"
        )
    return recipe


def _auditor(asked: AuditPlan, plan: Plan, listener: Listener) -> Auditor:
    recipe = recipe_of(asked, plan)

    def warnings_only(event: Event) -> None:
        """One bar for the set, not one for each image."""
        if event.kind == "warning":
            listener(event)

    return Auditor(recipe, domains.get(plan.preset), warnings_only)


def _is_audited(item: Path) -> bool:
    """An audit of another image than is there now is none."""
    try:
        return Audit.read(item) is not None
    except ValueError:
        return False


def _cleared(asked: AuditPlan, item: Path) -> bool:
    audit = Audit.read(item)
    return audit is None or not audit.copies or asked.near_copies != "refuse"


def _refuse(folder: Path, item: Path, listener: Listener) -> None:
    """refused/ID.json first, then the image goes: killed in between, the next run removes it."""
    audit = Audit.read(item)
    assert audit is not None
    worst = audit.copies[0]
    record = {
        "id": item.name,
        "reason": worst.sentence(),
        "similarity": worst.similarity,
        "threshold": worst.threshold,
        "measure": worst.measure,
        "training_image": worst.training_image,
    }
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    replace_text(folder / REFUSED / f"{item.name}.json", text)
    shutil.rmtree(item)
    listener(Event("warning", message=f"image {item.name} is refused: {worst.sentence()}"))
