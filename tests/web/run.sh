#!/bin/sh
# Makes the environment of the page once, which borrows torch and the rest from .venv, and runs its tests.
# Arguments go to pytest.
set -eu
cd "$(dirname "$0")/../.."
environment="${MEDSYNTH_WEB_ENV:-.venvweb}"
lender="${MEDSYNTH_LENDER:-.venv}"
if [ ! -x "$environment/bin/python" ]; then
    "$lender/bin/python" -m venv "$environment"
    lent=$("$lender/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")
    own=$("$environment/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")
    echo "import site; site.addsitedir('$lent')" > "$own/zz_lent.pth"
fi
if ! "$environment/bin/python" -c "import aiohttp, playwright, trame_slicer" 2>/dev/null; then
    "$environment/bin/python" -m pip install -q -r tests/web/requirements.txt
fi
# Without a file, all of them; options alone name none.
case " $* " in *" tests/"*) ;; *) set -- tests/web "$@" ;; esac
PYTHONPATH="$PWD" exec "$environment/bin/python" -m pytest -p no:cacheprovider "$@"
