#!/usr/bin/env bash
# Build the zip that Lambda runs: handler, model package, model file and the libraries they need.

set -euo pipefail

usage() {
    cat <<'HELP'
usage: utils/create_deployment_package.sh MODEL [options]

Build the deployment package of MODEL, sm_cnn or kim_cnn. Built twice, the bytes are the same.

  --runtime none     no libraries at all: for an emulator that runs functions on an interpreter which
                     has them (what `make demo` and the end-to-end tests use)
  --model FILE       the model file to serve (default: MODEL.model at the root of the project)
  --output FILE      where to write the zip (default: build/MODEL.zip)
  -h, --help         show this and exit

The environment variable PYTHON names the interpreter to build with (default: .venv/bin/python, else python3).

example: utils/create_deployment_package.sh sm_cnn --runtime none --output build/thin/sm_cnn.zip
HELP
}

misuse() { echo "create_deployment_package.sh: $1; --help shows the usage" >&2; exit 2; }
fail() { echo "create_deployment_package.sh: $1" >&2; exit 1; }

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
model='' runtime=none model_file='' output=''
while (($#)); do
    case $1 in
        -h | --help) usage; exit ;;
        --runtime | --model | --output)
            (($# > 1)) || misuse "$1 needs a value"
            case $1 in
                --runtime) runtime=$2 ;;
                --model) model_file=$2 ;;
                --output) output=$2 ;;
            esac
            shift ;;
        -*) misuse "unknown option $1" ;;
        *) [[ -z $model ]] || misuse "more than one MODEL: $model and $1"; model=$1 ;;
    esac
    shift
done
case $model in
    sm_cnn) handler=sm_handler.py ;;
    kim_cnn) handler=kim_handler.py ;;
    '') misuse "MODEL is missing: sm_cnn or kim_cnn" ;;
    *) misuse "no model $model: sm_cnn or kim_cnn" ;;
esac
[[ $runtime == none ]] || misuse "no runtime $runtime"
model_file=${model_file:-$root/$model.model}
[[ -f $model_file ]] || fail "$model_file: no such file; train one with python -m $model.train, or name one with --model"
output=${output:-$root/build/$model.zip}
python=${PYTHON:-$([[ -x $root/.venv/bin/python ]] && echo "$root/.venv/bin/python" || echo python3)}

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
trap 'exit 130' INT TERM

# The code a request runs, laid out as in the checkout; what trains and evaluates stays at home.
mkdir "$stage/inference" "$stage/$model"
cp "$root/$handler" "$stage"
cp "$root"/inference/*.py "$stage/inference"
for module in __init__ model overlap; do
    if [[ -f $root/$model/$module.py ]]; then cp "$root/$model/$module.py" "$stage/$model"; fi
done
cp "$model_file" "$stage/$model.model"

mkdir -p "$(dirname "$output")"
"$python" "$root/utils/package_zip.py" "$stage" "$output"
