"""Check that a model file can be served: that it is whole, of this architecture, and that config and weights fit.

Prints nothing when it can; utils/create_deployment_package.sh asks before it packages a file.

Example:
  python utils/check_model.py kim_cnn kim_cnn.model
"""

from pathlib import Path

import kim_cnn.predict
import sm_cnn.predict
from toolkit.cli import parser, run

LOAD = {"kim_cnn": kim_cnn.predict.load, "sm_cnn": sm_cnn.predict.load}


def main() -> int:
    """Run the command line; return the exit code."""
    options = parser(__doc__)
    options.add_argument("architecture", choices=sorted(LOAD))
    options.add_argument("model", type=Path, help="the *.model or *.onnx file")
    arguments = options.parse_args()
    LOAD[arguments.architecture](arguments.model)
    return 0


if __name__ == "__main__":
    run(main)
