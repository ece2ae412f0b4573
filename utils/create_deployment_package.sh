#!/usr/bin/env bash
# Build the zip that Lambda runs: handler, model package, model file and the libraries they need.

set -euo pipefail

usage() {
    cat <<'HELP'
usage: utils/create_deployment_package.sh MODEL [options]

Build the deployment package of MODEL, sm_cnn or kim_cnn, for AWS Lambda on Amazon Linux 2023. pip fetches the
target's wheels, so any Linux machine will do. Built twice from the same wheels, the bytes are the same.

  --runtime NAME       torch: PyTorch, its largest library compressed and unpacked at start (default)
                       onnx: the model exported to ONNX and run by ONNX Runtime; smaller, and faster to start
                       none: code and model file only, for an emulator whose interpreter has the libraries
  --arch NAME          x86_64 (default) or arm64
  --python VERSION     3.12, 3.13 (default) or 3.14: the Lambda runtime to build for; 3.11 is for a try on a machine
                       that has no other
  --model FILE         model file to serve (default: MODEL.model at the root of the project)
  --output FILE        zip to write (default: build/MODEL.zip)
  --torch VERSION      PyTorch to package (default: the CPU build of the one in requirements.txt)
  --torch-index URL    where to look for PyTorch if pip, as it is set up, finds none
                       (default: https://download.pytorch.org/whl/cpu)
  -h, --help           show this and exit

The interpreter that builds is $PYTHON (default: .venv/bin/python, else python3); it needs pip and, to export a model
or shrink PyTorch, what is in requirements-dev.txt. Bytecode is compiled by pythonVERSION, wherever $PATH has it.

example: utils/create_deployment_package.sh sm_cnn --runtime onnx --arch arm64 --output build/onnx/sm_cnn.zip
HELP
}

say() { echo "create_deployment_package.sh: $1" >&2; }
misuse() { say "$1; --help shows the usage"; exit 2; }
fail() { say "$1"; exit 1; }
progress() { if [[ -t 2 ]]; then say "$1"; fi; }

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
model='' runtime=torch arch=x86_64 version=3.13 model_file='' output='' torch='' torch_index=https://download.pytorch.org/whl/cpu
while (($#)); do
    case $1 in
        -h | --help) usage; exit ;;
        --runtime | --arch | --python | --model | --output | --torch | --torch-index)
            (($# > 1)) || misuse "$1 needs a value"
            case $1 in
                --runtime) runtime=$2 ;;
                --arch) arch=$2 ;;
                --python) version=$2 ;;
                --model) model_file=$2 ;;
                --output) output=$2 ;;
                --torch) torch=$2 ;;
                --torch-index) torch_index=$2 ;;
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
case $runtime in torch | onnx | none) ;; *) misuse "no runtime $runtime: torch, onnx or none" ;; esac
case $arch in
    x86_64) machine=x86_64 ;;
    arm64) machine=aarch64 ;;
    *) misuse "no architecture $arch: x86_64 or arm64" ;;
esac
case $version in
    3.12 | 3.13 | 3.14) ;;
    3.11) [[ $runtime == none ]] || say "warning: only to try here: Lambda's own 3.11 runs on Amazon Linux 2, too old for the wheels" ;;
    *) misuse "no Python $version: 3.12, 3.13 or 3.14" ;;
esac
model_file=${model_file:-$root/$model.model}
[[ -f $model_file ]] || fail "$model_file: no such file; train one with python -m $model.train, or name one with --model"
[[ $runtime != torch || $model_file != *.onnx ]] || misuse "$model_file is for --runtime onnx"
output=${output:-$root/build/$model.zip}
python=${PYTHON:-$([[ -x $root/.venv/bin/python ]] && echo "$root/.venv/bin/python" || echo python3)}
export PYTHONPATH=$root PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
needed=botocore
if [[ $runtime != none ]]; then needed+=", pip, elftools"; fi
if [[ $runtime == onnx && $model_file != *.onnx ]]; then needed+=", torch, onnx, onnxscript"; fi
"$python" -c "import importlib.util, sys; sys.exit(not all(map(importlib.util.find_spec, '$needed'.split(', '))))" 2>/dev/null ||
    fail "$python has not all of $needed; make an environment with requirements-dev.txt and name its interpreter in PYTHON"

mkdir -p "$(dirname "$output")"
work=$(mktemp -d "$(dirname "$output")/.package.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
package=$work/package
mkdir "$package" "$work/tmp"
export TMPDIR=$work/tmp # pip unpacks there, and then only has to rename

# Code: what a request runs, laid out as in the checkout; what trains and evaluates stays at home.
mkdir "$package/inference" "$package/$model"
cp "$root/$handler" "$package"
cp "$root"/inference/*.py "$package/inference"
for module in __init__ model overlap; do
    if [[ -f $root/$model/$module.py ]]; then cp "$root/$model/$module.py" "$package/$model"; fi
done

# Model
if [[ $runtime == onnx && $model_file != *.onnx ]]; then
    progress "exporting $model_file"
    "$python" "$root/utils/export_onnx.py" "$model" "$model_file" "$package/$model.onnx"
elif [[ $runtime != torch && $model_file == *.onnx ]]; then
    cp "$model_file" "$package/$model.onnx"
else
    cp "$model_file" "$package/$model.model"
fi

pin() { grep -ohm 1 "^$1==[^ ;]*" "$root/requirements.txt" "$root/requirements-dev.txt"; }

# Unpack wheels for the target into the package: install [pip options] requirement...
install() {
    local platforms=() glibc
    for glibc in 17 24 26 27 28 31 34; do platforms+=(--platform "manylinux_2_${glibc}_$machine"); done
    progress "fetching ${*: -1}"
    "$python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-compile --only-binary :all: \
        --implementation cp --python-version "$version" "${platforms[@]}" --platform "manylinux2014_$machine" \
        --target "$package" "$@" >"$work/pip.log" 2>&1
}

require() {
    install "$@" || fail "no wheel of $* for Python $version on $arch: $(grep -m 1 ERROR "$work/pip.log" || tail -n 1 "$work/pip.log")"
}

# Libraries, less what serving never imports
if [[ $runtime != none ]]; then
    require "$(pin numpy)"
    (cd "$package/numpy" && rm -rf distutils f2py random testing typing)
    if [[ $model == sm_cnn ]]; then require "$(pin snowballstemmer)"; fi
fi
if [[ $runtime == onnx ]]; then
    require "$(pin onnxruntime)"
    (cd "$package/onnxruntime" && rm -rf backend datasets quantization tools transformers)
fi
if [[ $runtime == torch ]]; then
    torch=torch==${torch:-$(pin torch | cut -d = -f 3)+cpu}
    install "$torch" || install --index-url "$torch_index" --retries 0 --timeout 10 "$torch" ||
        fail "no wheel of $torch for Python $version on $arch, neither where pip looks nor at $torch_index; other --python, --torch or --torch-index may have one"
    [[ ! -e $package/torch/lib/libtorch_cuda.so ]] ||
        fail "the wheel of $torch for $arch is a CUDA build; the CPU build is called ${torch%+cpu}+cpu, at $torch_index"
    require "$(pin typing_extensions)"
    if [[ $version < 3.14 ]]; then require "$(pin backports.zstd)"; fi # the standard library has it from 3.14
    rm -rf "$package/functorch" "$package/torchgen/packaged"
    (
        cd "$package/torch"
        find bin -type f ! -name torch_shm_manager -delete # torch refuses to be imported without this one
        find testing/_internal -type f ! -name __init__.py ! -name common_dtype.py ! -name logging_tensor.py -delete
        rm -rf test include share _dynamo _inductor _numpy _vendor/quack ao/ns ao/pruning onnx utils/{benchmark,hipify,tensorboard} \
            distributed/{checkpoint,elastic,fsdp,pipelining,tensor,_tools} \
            lib/lib{aoti_custom_ops,backend_with_compiler,jitbackend_test,torchbind_test}.so
    )
fi
if [[ $runtime != none ]]; then
    # Not served: command line tools, and the marks of this machine that pip leaves.
    rm -rf "$package/bin" "$package"/*.dist-info/{RECORD,INSTALLER,REQUESTED,direct_url.json}
    find "$package" -type d -name tests -prune -exec rm -rf {} +
    find "$package" -type f \( -name '*.pyi' -o -name '*.a' -o -name '*.h' -o -name '*.hpp' -o -name '*.pxd' \) -delete
    "$python" "$root/toolkit/deployment/libraries.py" "$package" "$machine" || exit 1

    # Lambda can't write bytecode beside the code, and compiling takes longer than all the rest of a start.
    for candidate in "$python" "python$version" ''; do
        if [[ $("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) == "$version" ]]; then break; fi
    done
    if [[ -n $candidate ]]; then
        progress "compiling bytecode"
        "$candidate" -m compileall -q --invalidation-mode unchecked-hash -s "$package" -p /var/task "$package" >&2
    else
        say "warning: no python$version on PATH to compile bytecode with: each cold start will do it, and take twice the time"
    fi
fi

progress "zipping"
"$python" "$root/toolkit/deployment/archive.py" "$package" "$output"
