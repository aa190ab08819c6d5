"""Where a pathology goes: a segment, box, curve or points in the scene, as a request states it.

The scene is RAS and its nodes may be under transforms; a request is LPS, in the coordinates of the
reference's file. Everything is therefore brought from world RAS into the reference's own RAS first.
"""

from __future__ import annotations

from pathlib import Path

from medsynth.scene import nodes
from medsynth.scene.given import slicer, vtk

LPS_FROM_RAS = (-1.0, -1.0, 1.0)


def entries(where, reference, diameter: float, folder: Path, number: int) -> list[dict]:
    """The place keys of a request's pathologies: one, or one per point of a point list.

    Args:
        where: the segmentation, ROI, closed curve or point list that marks the place.
        reference: the anatomy's volume.
        diameter: of a lesion at a point, and the depth of a curve's region, in mm.
        folder: where a mask is written.
        number: of the pathology, for the file name and the message.

    Raises:
        ValueError: nothing is marked; the message says what to do.
    """
    if where is None:
        raise ValueError(f"Pathology {number}: mark its place first (click, box or paint).")
    if where.IsA("vtkMRMLMarkupsFiducialNode"):
        return _points(where, reference, diameter, number)
    if where.IsA("vtkMRMLSegmentationNode"):
        mask = segmentation_mask(where, reference)
    elif where.IsA("vtkMRMLMarkupsROINode"):
        mask = box_mask(where, reference)
    else:
        mask = curve_mask(where, reference, diameter)
    if not mask.any():
        raise ValueError(
            f"Pathology {number}: {where.GetName()} marks no voxel of {reference.GetName()}. "
            "Paint or place it inside the image, and make its segment visible."
        )
    return [{"roi": str(write_mask(mask, reference, folder / f"roi_{number:02d}.nrrd"))}]


def write_mask(mask, reference, path: Path) -> Path:
    """Write a 0/1 array (k, j, i) on the reference's grid as NRRD."""
    node = slicer.vtkMRMLLabelMapVolumeNode()
    matrix = vtk.vtkMatrix4x4()
    reference.GetIJKToRASMatrix(matrix)
    node.SetIJKToRASMatrix(matrix)
    slicer.util.updateVolumeFromArray(node, mask.astype("uint8"))
    return nodes.write_volume(node, path)


def _points(where, reference, diameter, number) -> list[dict]:
    import numpy as np

    world = slicer.util.arrayFromMarkupsControlPoints(where, world=True)
    if len(world) == 0:
        raise ValueError(f"Pathology {number}: click into a slice view to place its center.")
    local = transformed(world, None, reference.GetParentTransformNode())
    return [
        {"center_mm": [float(v) for v in point], "diameter_mm": float(diameter)}
        for point in np.asarray(local) * LPS_FROM_RAS
    ]


def segmentation_mask(where, reference):
    """The visible segments of a segmentation, united, on the reference's grid: bool (k, j, i)."""
    import numpy as np

    mask = np.zeros(slicer.util.arrayFromVolume(reference).shape, bool)
    segmentation, display = where.GetSegmentation(), where.GetDisplayNode()
    for i in range(segmentation.GetNumberOfSegments()):
        segment_id = segmentation.GetNthSegmentID(i)
        empty = segmentation.GetSegment(segment_id).GetRepresentation("Binary labelmap") is None
        if display is not None and not display.GetSegmentVisibility(segment_id) or empty:
            continue
        mask |= slicer.util.arrayFromSegmentBinaryLabelmap(where, segment_id, reference) > 0
    return mask


def box_mask(where, reference):
    """The voxels whose center is inside an ROI box: bool (k, j, i)."""
    import numpy as np

    to_world = slicer.util.arrayFromVTKMatrix(where.GetObjectToWorldMatrix())
    half = np.array(where.GetSize()) / 2
    lattice = np.stack(np.meshgrid(*[np.linspace(-h, h, 9) for h in half]), -1).reshape(-1, 3)
    corners = lattice @ to_world[:3, :3].T + to_world[:3, 3]
    to_box = np.linalg.inv(to_world)

    def inside(world):
        return np.all(np.abs(world @ to_box[:3, :3].T + to_box[:3, 3]) <= half, axis=1)

    return _mask_where(inside, corners, reference)


def curve_mask(where, reference, depth: float):
    """The voxels within a closed curve, seen along its plane's normal, and `depth` mm through it."""
    import numpy as np

    points = slicer.util.arrayFromMarkupsCurvePoints(where, world=True)
    if where.GetNumberOfControlPoints() < 3:
        raise ValueError(f"{where.GetName()}: a closed curve needs at least three points.")
    center = points.mean(axis=0)
    # The plane of the curve: its two directions of largest spread, and the normal.
    axes = np.linalg.svd(points - center, full_matrices=False)[2]
    outline = (points - center) @ axes.T
    flat = outline * (1, 1, 0)
    shell = np.vstack([flat + (0, 0, s * depth / 2) for s in (-1, 0, 1)]) @ axes + center

    def inside(world):
        u, v, w = ((world - center) @ axes.T).T
        within = _inside_polygon(np.stack([u, v], 1), outline[:, :2])
        return within & (np.abs(w) <= depth / 2)

    return _mask_where(inside, shell, reference)


def _inside_polygon(points, polygon):
    """Even-odd rule, in the plane: bool (N,)."""
    import numpy as np

    result = np.zeros(len(points), bool)
    x, y = points.T
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        crosses = (y0 > y) != (y1 > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            result ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return result


def _mask_where(inside, extremes, reference):
    """Voxels for whose world position `inside` holds, searched in the box around `extremes` (world)."""
    import numpy as np

    shape = slicer.util.arrayFromVolume(reference).shape
    mask = np.zeros(shape, bool)
    to_ras = nodes.ijk_to_ras(reference)
    to_ijk = np.linalg.inv(to_ras)
    parent = reference.GetParentTransformNode()
    local = transformed(extremes, None, parent)
    ijk = local @ to_ijk[:3, :3].T + to_ijk[:3, 3]
    low = np.clip(np.floor(ijk.min(0)).astype(int) - 2, 0, None)
    high = np.minimum(np.ceil(ijk.max(0)).astype(int) + 3, shape[::-1])
    if np.any(high <= low):
        return mask
    i, j, k = np.meshgrid(*map(np.arange, low, high), indexing="ij")
    voxels = np.stack([i, j, k], -1).reshape(-1, 3)
    world = transformed(voxels @ to_ras[:3, :3].T + to_ras[:3, 3], parent, None)
    i, j, k = voxels[inside(world)].T
    mask[k, j, i] = True
    return mask


def transform_matrix(source, target):
    """The 4 x 4 matrix from one transform node's coordinates to another's; None is the world."""
    matrix = vtk.vtkMatrix4x4()
    if not slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(source, target, matrix):
        raise ValueError("The volume or a mark on it is under a transform that is not linear.")
    return slicer.util.arrayFromVTKMatrix(matrix)


def transformed(points, source, target):
    """Points (N, 3) from one transform node's coordinates to another's; None is the world."""
    import numpy as np

    if source is target:
        return np.asarray(points, float)
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(source, target, transform)
    before, after = vtk.vtkPoints(), vtk.vtkPoints()
    before.SetData(
        vtk.util.numpy_support.numpy_to_vtk(np.ascontiguousarray(points, float), deep=True)
    )
    after.SetDataTypeToDouble()
    transform.TransformPoints(before, after)
    return vtk.util.numpy_support.vtk_to_numpy(after.GetData()).copy()
