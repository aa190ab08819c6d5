"""Stands for a Python that has medsynth: `PYTHON -c ENTRY synthesize ...` with a small, quick result.

Reads the module's real request and files, so what it gets wrong the tests see: a lesion asked for by its
center is a ball around that LPS point, an ROI comes back as it was written. Films come back on a larger
grid about their middle, as the library brings them onto its network's. The environment variable
MEDSYNTH_FAKE picks a failure instead.
"""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

# As medsynth phantom --save-control-points writes them, with one organ.
RING = [[40, 0], [0, 40], [-40, 0], [0, -40]]
HEART = {"kind": "closed_curves", "levels_mm": [-9.0, 9.0], "points_mm": [RING, RING]}
THORAX_POINTS = {"organs": {"heart": {"label": "heart", "layers": [], "pieces": [HEART]}}}
FILM_POINTS = {"outline": [[0, 0], [50, 10], [50, 90], [0, 100]], "laterality": "L"}
FILMS, BORDER = ("mammography", "chest_xray"), 6
TO_LPS = {"right-anterior-superior": (-1, -1, 1), "left-posterior-superior": (1, 1, 1)}


def emit(kind, **fields):
    if sys.argv[-2:] == ["--progress", "json"]:  # else it speaks to people, as the real one
        print(json.dumps({"kind": kind, **fields}), flush=True)


def readNrrd(path):
    """Header lines, voxels (k, j, i) and the 4 x 4 matrix from (i, j, k) to LPS mm."""
    head, _, body = Path(path).read_bytes().partition(b"\n\n")
    fields = dict(
        line.split(": ", 1)
        for line in head.decode().splitlines()
        if ": " in line and line[0] != "#"
    )
    kinds = {"short": "<i2", "unsigned char": "u1", "float": "<f4", "int": "<i4", "double": "<f8"}
    kinds |= {"int16": "<i2", "uint8": "u1", "unsigned short": "<u2"}
    sizes = [int(n) for n in fields["sizes"].split()]
    raw = gzip.decompress(body) if fields["encoding"] == "gzip" else body
    voxels = np.frombuffer(raw, kinds[fields["type"]]).reshape(sizes[::-1])

    def triple(t):
        return np.array([float(v) for v in t.strip("()").split(",")])

    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([triple(t) for t in fields["space directions"].split()], 1)
    matrix[:3, 3] = triple(fields["space origin"])
    return head, voxels, np.diag([*TO_LPS[fields["space"]], 1.0]) @ matrix


def writeNrrd(path, head, voxels, typeName):
    lines = [
        f"type: {typeName}" if line.startswith("type: ") else line
        for line in head.decode().splitlines()
    ]
    lines = ["encoding: gzip" if line.startswith("encoding: ") else line for line in lines]
    if not any(line.startswith("endian: ") for line in lines):  # bytes have none
        lines.append("endian: little")
    body = gzip.compress(np.ascontiguousarray(voxels).tobytes(), 1)
    Path(path).write_bytes("\n".join(lines).encode() + b"\n\n" + body)


def onLargerGrid(head, voxels, matrix):
    """The film with a black border; matrix from indices to LPS."""
    matrix = matrix @ np.array([[1, 0, 0, -BORDER], [0, 1, 0, -BORDER], [0, 0, 1, 0], [0, 0, 0, 1]])
    voxels = np.pad(voxels, ((0, 0), (BORDER, BORDER), (BORDER, BORDER)))
    space = next(n for n in TO_LPS if f"space: {n}".encode() in head)
    origin = TO_LPS[space] * matrix[:3, 3]
    lines = {
        "sizes: ": " ".join(map(str, voxels.shape[::-1])),
        "space origin: ": "(" + ",".join(map(str, origin.tolist())) + ")",
    }
    for key, value in lines.items():
        head = re.sub(rf"^{key}.*$", key + value, head.decode(), flags=re.MULTILINE).encode()
    return head, voxels, matrix


def ball(lesion, voxels, matrix):
    k, j, i = np.indices(voxels.shape)
    lps = np.stack([i, j, k], -1) @ matrix[:3, :3].T + matrix[:3, 3]
    return np.linalg.norm(lps - lesion["center_mm"], axis=-1) <= lesion["diameter_mm"] / 2


def estimate(request):
    """3 slices a lesion, half a second per network call."""
    slices = 3 * len(request["pathologies"]) or 20
    seconds = 0.5 * slices * request["steps"]
    return {
        "slices": slices,
        "seconds": seconds,
        "memory_bytes": 1_200_000_000,
        "disk_bytes": 30_000_000,
        "device": "cpu",
    }


def dryRun(requestFile):
    """What `--dry-run` says; it has its own failures."""
    request = json.loads(Path(requestFile).read_text())
    readNrrd(Path(requestFile).parent / request["anatomy"]["image"])
    if request["guidance"] == "x_t":
        emit("error", message="pathologies[0]: the lesion would leave the body by 3.1 mm")
        sys.exit(2)
    emit("estimate", message="about 1 s, 0.1 GB", data=estimate(request))


def synthesize(requestFile, out):
    folder = Path(requestFile).parent
    request = json.loads(Path(requestFile).read_text())
    head, voxels, matrix = readNrrd(folder / request["anatomy"]["image"])
    record = {"seed": request["seed"]}
    if request["preset"] in FILMS:
        record["reference"] = {"from_size": list(voxels.shape[::-1])}
        head, voxels, matrix = onLargerGrid(head, voxels, matrix)
    emit("estimate", message="about 1 s, 0.1 GB", data=estimate(request))
    emit("stage", stage="sampling", total=request["steps"])
    for step in range(1, request["steps"] + 1):
        left = 0.02 * (request["steps"] - step)
        emit("progress", stage="sampling", done=step, total=request["steps"], seconds_left=left)
        time.sleep(0.02 if step < 4 else 0)
    image = voxels.astype("<f4").copy()
    out.mkdir()
    for number, lesion in enumerate(request["pathologies"], start=1):
        if "roi" in lesion:
            mask = readNrrd(folder / lesion["roi"])[1] > 0
            border = (voxels.shape[1] - mask.shape[1]) // 2
            mask = np.pad(mask, ((0, 0), (border, border), (border, border)))
        else:
            mask = ball(lesion, voxels, matrix)
        image[mask] = 100 + number
        writeNrrd(out / f"pathology_{number:02d}.nrrd", head, mask.astype("u1"), "uint8")
    record["lesions"] = [
        {"mask": f"pathology_{n:02d}.nrrd", "drawn": lesion["source"].get("procedural")}
        for n, lesion in enumerate(request["pathologies"], start=1)
    ]
    record["labels"] = existingLabels(request["anatomy"].get("labels", []), folder, out, head)
    writeNrrd(out / "image.nrrd", head, image, "float")
    for name in ("image", "seg"):
        (out / "dicom" / name).mkdir(parents=True)
        (out / "dicom" / name / "0001.dcm").write_bytes(b"not read by these tests")
    (out / "request.yaml").write_text(Path(requestFile).read_text())
    (out / "result.json").write_text(json.dumps(record))
    print("a line for the log", flush=True)


def existingLabels(said, folder, out, head):
    """One mask per value of each file, under the names that the request gives them."""
    records = []
    for entry in said:
        labels = readNrrd(folder / entry["file"])[1]
        for value, name in entry["names"].items():
            mask = f"label_{len(records) + 1:02d}.nrrd"
            writeNrrd(out / mask, head, (labels == int(value)).astype("u1"), "uint8")
            records.append({"mask": mask, "name": name, "code": entry["codes"].get(value)})
    return records


def dataset(planFile, out):
    """As many items as the plan asks for; those that are there already stay."""
    plan = json.loads(Path(planFile).read_text())
    images = sorted((Path(planFile).parent / "references").glob("*/image.nrrd"))
    for image in images:
        readNrrd(image)
    for number in range(plan["count"]):
        item = out / "items" / f"{number:06d}"
        if not item.is_dir():
            item.mkdir(parents=True)
            time.sleep(float(os.environ.get("MEDSYNTH_FAKE_SECONDS", "0.02")))
        emit("progress", stage="images", done=number + 1, total=plan["count"], seconds_left=3)
    emit("result", message=f"{plan['count']} images of {len(images)} references")


def audit(out, data):
    if not (data / "images").is_dir():
        emit("error", message=f"{data} holds no images")
        sys.exit(2)
    near = (data / "near").exists()
    verdict = "near copy" if near else "clear"
    record = {"verdict": verdict, "allowed": []}
    (out / "audit.json").write_text(json.dumps(record))
    emit("progress", stage="comparing", done=1, total=1)
    emit("result", message=f"{out}: {verdict}", data={"out": str(out), **record})
    sys.exit(3 if near else 0)


def verify(image, arguments):
    """A file that says SYNTHETIC in its header is synthetic."""
    if not image.is_file():
        emit("error", message=f"{image} does not exist")
        sys.exit(2)
    emit("progress", stage="looking for the mark", done=1, total=1)
    header = b"SYNTHETIC" in image.read_bytes()[:2000]
    registry = "--registry" in arguments
    findings = [
        {"layer": "header", "synthetic": header, "words": f"read {image.name}"},
        {"layer": "registry", "synthetic": registry, "words": "compared"},
    ]
    found = header or registry
    verdict = (
        "SYNTHETIC (header)" if found else "no mark found; that does not prove that it is real"
    )
    emit("result", message=verdict, data={"verdict": verdict, "findings": findings})
    sys.exit(0 if found else 3)


def fail(case):
    if case == "missing":
        raise ModuleNotFoundError("No module named 'medsynth'")
    if case == "broken":
        message = "this is a bug (ModuleNotFoundError: No module named 'torch'); run again"
        emit("error", message=message)
        sys.exit(f"medsynth: error: {message}")
    if case == "memory":
        emit("error", message="needs 31 GB, 4 GB are free; choose fewer slices (extent: roi)")
        # What libraries print at their end must not hide the reason.
        sys.exit("medsynth: needs 31 GB\nresource_tracker: There appear to be 3 leaked objects")
    if case == "refused":
        print("medsynth: anatomy.factor: expected an integer >= 1, got 0", file=sys.stderr)
        sys.exit(2)
    if case == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if case in ("hang", "hang politely"):
        # A stubborn tree: the child ignores the polite request, as a worker in native code would.
        stubborn = (
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        )
        child = subprocess.Popen([sys.executable, "-c", stubborn])
        if case == "hang":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        emit("stage", stage=f"pids {os.getpid()} {child.pid}", total=1)
        time.sleep(600)


def main(arguments):
    case = os.environ.get("MEDSYNTH_FAKE", "")
    if "--dry-run" in arguments:
        dryRun(arguments[1])
        return
    if case:
        fail(case)
    if arguments[0] == "synthesize":
        synthesize(arguments[1], Path(arguments[arguments.index("-o") + 1]))
    elif arguments[0] == "phantom":
        path = Path(arguments[arguments.index("-o") + 1])
        j, i = np.indices((24, 64, 64))[1:]
        body = (i - 32) ** 2 + (j - 32) ** 2 < 28**2
        lungs = ((np.abs(i - 32) - 14) / 10) ** 2 + ((j - 30) / 16) ** 2 < 1
        voxels = np.where(lungs, -850, np.where(body, 40, -1000)).astype("<i2")
        film = "mammography" in arguments
        if "--save-control-points" in arguments:
            points = arguments[arguments.index("--save-control-points") + 1]
            Path(points).write_text(json.dumps(FILM_POINTS if film else THORAX_POINTS))
        if film:
            voxels = np.where(body, 150, 0)[:1].astype("<i2")
        head = (
            "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 64 64 24\n"
            "space directions: (5,0,0) (0,5,0) (0,0,5)\nkinds: domain domain domain\n"
            "endian: little\nencoding: raw\nspace origin: (-160,-160,-60)"
        )
        if film:
            head = head.replace("sizes: 64 64 24", "sizes: 64 64 1")
            head = head.replace("(5,0,0) (0,5,0) (0,0,5)", "(0.25,0,0) (0,0.25,0) (0,0,1)")
        writeNrrd(path, head.encode(), voxels, "short")
    elif arguments[0] == "send":
        broken = arguments[arguments.index("--to") + 1] == "broken"
        emit("estimate", message="2 images go to archive: PACS@127.0.0.1:104")
        for done in (1, 2):
            emit("progress", stage="sending", done=done, total=2)
        if broken:
            emit("warning", message="1 failed: 0xA700 out of resources")
        emit("result", message=f"{2 - broken} of 2 objects are verified")
        sys.exit(3 if broken else 0)
    elif arguments[:2] == ["pacs", "test"]:
        if arguments[2] == "broken":
            emit("error", message="no connection to 127.0.0.1:104: Connection refused")
            sys.exit(2)
        emit("result", message=f"{arguments[2]} (...): answers C-ECHO")
    elif arguments[0] == "dataset":
        dataset(arguments[1], Path(arguments[arguments.index("-o") + 1]))
    elif arguments[0] == "verify":
        verify(Path(arguments[1]), arguments)
    elif arguments[0] == "audit":
        audit(Path(arguments[1]), Path(arguments[arguments.index("--data") + 1]))
    else:
        sys.exit(f"medsynth: unknown command {arguments}")


if __name__ == "__main__":
    main(sys.argv[1:])
