"""Places marked in the scene against brute force in world coordinates, whatever lies under transforms."""

import numpy as np
import pytest
import slicer
import vtk
from harness.user import voxelsInWorld


def bend(node):
    """Put a node under a transform that is not linear."""
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "bent")
    spline = vtk.vtkThinPlateSplineTransform()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    corners = np.array(np.meshgrid([-60, 60], [-60, 60], [-60, 60])).reshape(3, -1).T
    for n, corner in enumerate(corners):
        source.InsertNextPoint(*corner)
        target.InsertNextPoint(*(corner * 1.1 + (4 * (n % 2), 6, -3 * (n % 3))))
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    spline.SetBasisToR()
    transform.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(transform.GetID())
    return spline


def move(node):
    """Put a markup or segmentation under a linear transform of its own."""
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "own")
    matrix = vtk.vtkTransform()
    matrix.Translate(-9, 4, 13)
    matrix.RotateX(-30)
    transform.SetMatrixTransformToParent(matrix.GetMatrix())
    node.SetAndObserveTransformNodeID(transform.GetID())


@pytest.mark.parametrize("own", [False, True], ids=["markup in world", "markup moved too"])
def test_box(desktop, addReference, own):
    from medsynth.scene import region

    reference = addReference(oblique=True)
    world = voxelsInWorld(reference)
    box = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    if own:
        move(box)
    box.SetCenterWorld(*world[9, 22, 18])
    box.SetSize(14, 22, 17)
    axes = slicer.util.arrayFromVTKMatrix(box.GetObjectToWorldMatrix())
    local = (world - axes[:3, 3]) @ np.linalg.inv(axes[:3, :3]).T
    expected = np.all(np.abs(local) <= (7, 11, 8.5), axis=-1)
    assert expected.sum() > 300
    np.testing.assert_array_equal(region.box_mask(box, reference), expected)


def test_box_under_a_bent_transform(desktop, addReference):
    from medsynth.scene import nodes, region

    reference = addReference()
    spline = bend(reference)
    k, j, i = np.indices((20, 48, 40))
    local = np.stack([i, j, k, np.ones_like(i)], -1) @ nodes.ijk_to_ras(reference).T
    world = np.array([spline.TransformPoint(p) for p in local[..., :3].reshape(-1, 3)])
    world = world.reshape(*k.shape, 3)
    box = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    box.SetCenterWorld(*world[10, 24, 12])
    box.SetSizeWorld(15, 18, 20)
    expected = np.all(np.abs(world - world[10, 24, 12]) <= (7.5, 9, 10), axis=-1)
    assert expected.sum() > 100
    np.testing.assert_array_equal(region.box_mask(box, reference), expected)


def test_curve_in_an_oblique_plane(desktop, addReference):
    from medsynth.scene import region

    reference = addReference(oblique=True)
    world = voxelsInWorld(reference)
    curve = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsClosedCurveNode")
    curve.SetCurveTypeToLinear()
    normal = np.array([0.4, -0.3, 0.85])
    normal /= np.linalg.norm(normal)
    u = np.cross(normal, [0, 1, 0])
    u /= np.linalg.norm(u)
    v = np.cross(normal, u)
    for angle in np.linspace(0, 2 * np.pi, 60, endpoint=False):
        point = world[10, 24, 20] + 12 * np.cos(angle) * u + 9 * np.sin(angle) * v
        curve.AddControlPointWorld(*point)
    offset = world - world[10, 24, 20]
    inside = ((offset @ u) / 12) ** 2 + ((offset @ v) / 9) ** 2 <= 1
    expected = inside & (np.abs(offset @ normal) <= 5)
    mask = region.curve_mask(curve, reference, 10)
    # The polygon is a little inside the ellipse, so voxels on the rim may differ.
    assert (mask != expected).sum() <= 0.03 * expected.sum()
    assert expected.sum() > 200


@pytest.mark.parametrize("own", [False, True], ids=["segmentation in world", "moved with it"])
def test_painted_segments_that_are_visible(desktop, addReference, own):
    from MedSynthLib import selftest

    from medsynth.scene import region

    reference = addReference(oblique=True)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.CreateDefaultDisplayNodes()
    masks = np.zeros((3, 20, 48, 40), "u1")
    masks[0, 4:8, 10:20, 8:16] = masks[1, 6:9, 12:22, 14:20] = masks[2, 15:18, 30:40, 5:30] = 1
    ids = [node.GetSegmentation().AddEmptySegment("", f"s{n}") for n in range(3)]
    selftest.paint(dict(zip(ids, masks, strict=True)), reference, node)
    node.GetSegmentation().AddEmptySegment("", "nothing painted yet")
    node.GetDisplayNode().SetSegmentVisibility(ids[2], False)
    if own:
        # The whole scene is moved once more: nothing changes between the two.
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        matrix = vtk.vtkTransform()
        matrix.RotateZ(33)
        transform.SetMatrixTransformToParent(matrix.GetMatrix())
        reference.GetParentTransformNode().SetAndObserveTransformNodeID(transform.GetID())
        node.SetAndObserveTransformNodeID(transform.GetID())
    np.testing.assert_array_equal(
        region.segmentation_mask(node, reference), (masks[0] | masks[1]) > 0
    )


def test_a_volume_survives_the_way_out_and_back(desktop, addReference, tmp_path):
    from medsynth.scene import nodes

    reference = addReference(oblique=True)
    path = nodes.write_volume(reference, tmp_path / "v.nrrd")
    back = nodes.read_volume(path, nodes.new_node("vtkMRMLScalarVolumeNode", "back"))
    np.testing.assert_array_equal(
        slicer.util.arrayFromVolume(back), slicer.util.arrayFromVolume(reference)
    )
    np.testing.assert_allclose(nodes.ijk_to_ras(back), nodes.ijk_to_ras(reference), atol=1e-9)
    assert reference.GetStorageNode() is None  # its own file name and state are untouched


def test_a_write_that_fails_says_so(desktop, addReference, tmp_path):
    from medsynth.scene import nodes

    with pytest.raises(RuntimeError, match="could not be written"):
        nodes.write_volume(addReference(), tmp_path / "no such folder" / "v.nrrd")
