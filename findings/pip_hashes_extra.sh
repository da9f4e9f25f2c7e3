#!/usr/bin/env bash
# pip 23.2.1, the pip of Python 3.11.7 and 3.12.1, cannot install a lock in hash mode on every day that the lock is good.
#
# The lock pins `asked` and `asking`, each with its hash. `asking` wants `asked[more]`, an extra of a package that is
# pinned. While 1.0 is the newest `asked`, pip installs both. When `asked` 2.0 is released, which the lock does not name,
# pip prefers it for `asked[more]` and refuses it for want of a pin:
#
#     ERROR: In --require-hashes mode, all requirements must have their versions pinned with ==. These do not:
#         asked[more]>=1.0 from file:///…/asked-2.0-py3-none-any.whl (from asking==1.0->-r lock.txt (line 3))
#
# So a lock rots without a change of its own. pip 23.3.2 installs it; so does 23.2.1 with --no-deps.
# Seen with pip 23.2.1 (fails), 23.3.2, 24.0 and 24.1 (pass) on Python 3.11.7, 2026-11-30.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir wheels

wheel() { # name version requirement -> the line that pins it
    python3 - "$@" <<'PY'
import hashlib, sys, zipfile
name, version, need = sys.argv[1:4]
path, info = f"wheels/{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nProvides-Extra: more\n"
metadata += f"Requires-Dist: {need}\n" if need else ""
with zipfile.ZipFile(path, "w") as file:
    file.writestr(f"{info}/METADATA", metadata)
    file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    file.writestr(f"{info}/RECORD", "")
print(f"{name}=={version} --hash=sha256:{hashlib.sha256(open(path, 'rb').read()).hexdigest()}")
PY
}

wheel asked 1.0 "" > lock.txt
wheel asking 1.0 "asked[more]>=1.0" >> lock.txt

python3 -m venv env
install() { # pip's version, options
    env/bin/pip install --quiet --disable-pip-version-check "pip==$1" 2> /dev/null
    env/bin/python -m pip uninstall --quiet --yes asked asking 2> /dev/null || true
    env/bin/python -m pip install --quiet --no-index --find-links wheels --require-hashes "${@:2}" -r lock.txt 2> said
}

install 23.2.1 || { echo "changed: pip 23.2.1 fails while the pinned release is the newest"; cat said; exit 1; }
wheel asked 2.0 "" > /dev/null
if install 23.2.1; then echo "changed: pip 23.2.1 installs the lock beside a newer release"; exit 1; fi
grep -q "must have their versions pinned" said || { echo "changed: another error"; cat said; exit 1; }
cat said
install 23.3.2 || { echo "changed: pip 23.3.2 fails"; cat said; exit 1; }
install 23.2.1 --no-deps || { echo "changed: --no-deps fails"; cat said; exit 1; }
echo "as described"
