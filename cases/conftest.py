"""Let the case files in every folder import `_data`, which lies here, above them."""

import sys
from pathlib import Path

FOLDER = str(Path(__file__).parent)
if FOLDER not in sys.path:
    sys.path.append(FOLDER)  # last, so that no case file hides a library
