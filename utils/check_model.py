"""Check that a model file can be served: that it is whole, of this architecture, and that config and weights fit.

Prints nothing when it can; utils/create_deployment_package.sh asks before it packages a file.

Example:
  python utils/check_model.py kim_cnn kim_cnn.model
"""

if __name__ == "__main__":  # before the imports, which may take seconds
    from toolkit import ctrl_c

    ctrl_c.end_at_once()

from pathlib import Path

from architectures import PREDICT
from toolkit.cli import parser, run


def main() -> int:
    """Run the command line; return the exit code."""
    options = parser(__doc__)
    options.add_argument("architecture", choices=sorted(PREDICT))
    options.add_argument("model", type=Path, help="the *.model or *.onnx file")
    arguments = options.parse_args()
    PREDICT[arguments.architecture].load(arguments.model)
    return 0


if __name__ == "__main__":
    run(main)
