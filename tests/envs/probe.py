"""Print the contents of the current environment as JSON.

    python probe.py '{"scripts": [...], "modules": [...], "absent": [...], "programs": [...]}'

The scripts are run up to their main part, and the modules are imported.
"""

import importlib
import importlib.util
import json
import re
import runpy
import shutil
import sys
from pathlib import Path

asked = json.loads(sys.argv[1])
for script in asked["scripts"]:
    runpy.run_path(script, run_name="probe")
for module in asked["modules"]:
    importlib.import_module(module)
files = {name: Path(getattr(each, "__file__", None) or "") for name, each in sys.modules.items()}
libraries = re.findall(r" (/.+\.so[.\d]*)$", Path("/proc/self/maps").read_text(), re.MULTILINE)
report = {
    "interpreter": sys.executable,
    "prefixes": [sys.prefix, sys.exec_prefix, sys.base_prefix],
    "path": sys.path,
    # PyTorch makes modules up, without a folder.
    "files": {name: str(file.resolve()) for name, file in files.items() if file.is_absolute()},
    "libraries": sorted(set(libraries)),
    "found": [name for name in asked["absent"] if importlib.util.find_spec(name)],
    "programs": {name: shutil.which(name) for name in asked["programs"]},
}
print(json.dumps(report))
