#!/bin/sh
# Makes the environment of the Slicer harness once (Python 3.12 where there is one, else the current
# Python) and runs its tests. Arguments go to pytest.
set -eu
cd "$(dirname "$0")/../.."
environment="${MEDSYNTH_SLICER_ENV:-.venv312}"
if [ ! -x "$environment/bin/python" ]; then
    python=python3
    for candidate in "$HOME"/.pyenv/versions/3.12*/bin/python3.12 python3.12; do
        if "$candidate" -c "" 2>/dev/null; then
            python="$candidate"
            break
        fi
    done
    "$python" -m venv "$environment"
fi
if ! "$environment/bin/python" -c "import slicer_core, PySide6, psutil, pydicom, pytest, scipy" 2>/dev/null; then
    "$environment/bin/python" -m pip install -q -r tests/slicer/requirements.txt
fi
# Without a file, all of them; options alone name none.
case " $* " in *" tests/"*) ;; *) set -- tests/slicer "$@" ;; esac
export QT_QPA_PLATFORM=offscreen OMP_NUM_THREADS=1
exec "$environment/bin/python" -m pytest "$@"
