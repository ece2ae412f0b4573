#!/usr/bin/env bash
# Build the zip that Lambda runs: handler, model package, model file and the libraries they need.

set -euo pipefail
shopt -s extglob globstar nullglob

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
  --vectors FILE       vector file that is, or will be, in the table: the package gets the vectors of its most frequent
                       words, which are then not read from the table
  --hot-words N        how many words; 0 for none (default: as many as take 10 MB, 50,000 of 50 dimensions)
  --hot-words-from LIST  of the words of this list, one a line
  --format NAME        float32 (default) or float16, as the vectors were uploaded
  --output FILE        zip to write (default: build/MODEL.zip), with its software bill of materials, MODEL.cdx.json, beside
                       it
  --torch VERSION      PyTorch to package (default: the CPU build of the one in requirements.txt)
  --torch-index URL    where to get PyTorch if pip, as it is set up, finds none with a hash in requirements-torch.lock
                       (default: https://download.pytorch.org/whl/cpu)
  -h, --help           show this and exit

The interpreter that builds is $PYTHON (default: .venv/bin/python, else python3); it needs what is in
requirements-dev.txt. Bytecode is compiled by pythonVERSION, wherever $PATH has it.

example: utils/create_deployment_package.sh sm_cnn --runtime onnx --arch arm64 --output build/onnx/sm_cnn.zip
HELP
}

say() { echo "create_deployment_package.sh: $1" >&2; }
misuse() { say "$1; --help shows the usage"; exit 2; }
fail() { say "$1"; exit 1; }
progress() { if [[ -t 2 ]]; then say "$1"; fi; }
one_of() { # what it is, its value, the values it may have
    [[ " ${*:3} " == *" $2 "* ]] || misuse "no $1 $2: one of ${*:3}"
}

# The command line: --some-option sets some_option.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
architecture='' runtime=torch arch=x86_64 python=3.13 model='' vectors='' hot_words='' hot_words_from='' format=float32 output='' torch='' torch_index=https://download.pytorch.org/whl/cpu
while (($#)); do
    case $1 in
        -h | --help) usage; exit ;;
        --runtime | --arch | --python | --model | --vectors | --hot-words | --hot-words-from | --format | --output | --torch | --torch-index)
            (($# > 1)) || misuse "$1 needs a value"
            option=${1#--}
            printf -v "${option//-/_}" %s "$2"
            shift ;;
        -*) misuse "unknown option $1" ;;
        *) [[ -z $architecture ]] || misuse "more than one MODEL: $architecture and $1"; architecture=$1 ;;
    esac
    shift
done
[[ -n $architecture ]] || misuse "MODEL is missing: sm_cnn or kim_cnn"
one_of model "$architecture" sm_cnn kim_cnn
one_of runtime "$runtime" torch onnx none
one_of architecture "$arch" x86_64 arm64
one_of Python "$python" 3.12 3.13 3.14 3.11
[[ -n $vectors || -z $hot_words$hot_words_from ]] || misuse "--hot-words needs --vectors"
[[ $hot_words == *([0-9]) ]] || misuse "$hot_words is no number of hot words"
[[ $python != 3.11 || $runtime == none ]] ||
    say "warning: only to try here: Lambda's own 3.11 runs on Amazon Linux 2, too old for the wheels"
model=${model:-$root/$architecture.model}
[[ -f $model ]] || fail "$model: no such file; train one with python -m $architecture.train, or name one with --model"
[[ $runtime != torch || $model != *.onnx ]] || misuse "$model is for --runtime onnx"
output=${output:-$root/build/$architecture.zip}
builder=${PYTHON:-$([[ -x $root/.venv/bin/python ]] && echo "$root/.venv/bin/python" || echo python3)}
export PYTHONPATH=$root PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
trap 'exit 130' INT TERM
find_needed='import importlib.util, sys; sys.exit(None in map(importlib.util.find_spec, sys.argv[1:]))'
"$builder" -c "$find_needed" cyclonedx elftools onnx onnxruntime onnxscript pip torch 2>/dev/null ||
    fail "$builder lacks libraries of requirements-dev.txt; set PYTHON to an interpreter that has them"

mkdir -p "$(dirname "$output")"
work=$(mktemp -d "$(dirname "$output")/.package.XXXXXX")
trap 'rm -rf "$work"' EXIT
package=$work/package
mkdir -p "$package/inference" "$package/$architecture" "$work/tmp"
export TMPDIR=$work/tmp # pip unpacks there, and then only has to rename

# Model and code: what a request runs, laid out as in the checkout; what trains and evaluates stays at home.
progress "reading $model"
"$builder" "$root/utils/check_model.py" "$architecture" "$model" || exit 1
if [[ $runtime == onnx && $model != *.onnx ]]; then
    "$builder" "$root/utils/export_onnx.py" "$architecture" "$model" "$package/$architecture.onnx" || exit 1
else
    cp "$model" "$package/$architecture.${model##*.}"
fi
if [[ -n $vectors && $hot_words != 0 ]]; then
    progress "packing hot words of $vectors"
    "$builder" "$root/utils/pack_hot_words.py" "$architecture" "$model" "$vectors" "$package/hot_words" --format "$format" \
        ${hot_words:+--words "$hot_words"} ${hot_words_from:+--wordlist "$hot_words_from"} || exit 1
fi
cp "$root/${architecture%_cnn}"_{handler,batch}.py "$root/LICENSE" "$package"
cp "$root"/inference/*.py "$package/inference"
cp "$root/$architecture"/@(__init__|model|predict|overlap).py "$package/$architecture"

# Unpack wheels for the target into the package: [pip options] requirement...
fetch() {
    local platforms=() glibc machine=${arch/arm64/aarch64}
    for glibc in 17 24 26 27 28 31 34; do platforms+=(--platform "manylinux_2_${glibc}_$machine"); done
    "$builder" -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-compile --only-binary :all: \
        --implementation cp --python-version "$python" "${platforms[@]}" --platform "manylinux2014_$machine" \
        --target "$package" "$@" >"$work/pip.log" 2>&1
}

# What a lock file says of a library, a version with its hashes: file, NAME== or NAME==VERSION
locked() {
    sed -n "/^$2/,/[^\\\\]\$/p" "$root/$1" | sed 's/ ;.*\\$/ \\/'
}

# The same in the versions, and with the hashes, of the lock file: name...
fetch_locked() {
    local name
    for name; do locked requirements.lock "$name=="; done >"$work/locked.txt"
    progress "fetching $*"
    fetch --require-hashes -r "$work/locked.txt" ||
        fail "no wheels for Python $python on $arch: $(grep -m 1 ERROR "$work/pip.log" || tail -n 1 "$work/pip.log")"
}

if [[ $runtime == torch ]]; then
    pinned=$(sed -n 's/^torch==//p' "$root/requirements.txt")
    torch=torch==${torch:-$pinned+cpu}
    progress "fetching $torch"
    locked requirements-torch.lock "$torch " >"$work/torch.txt"
    if ! { [[ -s $work/torch.txt ]] && fetch --require-hashes -r "$work/torch.txt"; }; then
        # Not known by its hash: from PyTorch's own index alone, whatever pip's settings say.
        PIP_CONFIG_FILE=/dev/null fetch --isolated --index-url "$torch_index" --retries 0 --timeout 10 "$torch" ||
            fail "no wheel of $torch for Python $python on $arch, neither where pip looks, with its hash, nor at $torch_index; other --python, --torch or --torch-index may have one, and --runtime onnx does without"
        say "warning: $torch for Python $python on $arch came from $torch_index without a hash in requirements-torch.lock; make lock-torch writes it"
    fi
    [[ ! -e $package/torch/lib/libtorch_cuda.so ]] ||
        fail "the wheel of $torch for $arch is a CUDA build; the CPU build is called ${torch%+cpu}+cpu, at $torch_index"
    [[ $torch == *"==$(sed -n 's/.*checked with torch \(.*\)\.$/\1/p' "$root/toolkit/deployment/pruned.txt")"* ]] ||
        say "warning: toolkit/deployment/pruned.txt, what is left out of torch, was not checked with $torch"
fi
if [[ $runtime != none ]]; then
    names=(boto3 botocore jmespath numpy python-dateutil s3transfer six urllib3)
    if [[ $architecture == sm_cnn ]]; then names+=(snowballstemmer); fi
    if [[ $runtime == onnx ]]; then names+=(onnxruntime); else names+=(typing-extensions); fi
    if [[ $runtime == torch ]] && ((${python#3.} < 14)); then names+=(backports-zstd); fi # 3.14 has it
    fetch_locked "${names[@]}"
    # shellcheck disable=SC2046  # unquoted, as they are globs
    (cd "$package" && rm -rf -- $(grep -v "^#" "$root/toolkit/deployment/pruned.txt"))
    "$builder" -m toolkit.deployment.libraries "$package" || exit 1

    # Lambda can't write bytecode beside the code, and compiling takes longer than all the rest of a start.
    compiler=''
    for candidate in "$builder" "python$python"; do
        [[ $("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) != "$python" ]] || compiler=$candidate
    done
    progress "compiling bytecode"
    if [[ -n $compiler ]]; then
        "$compiler" -m compileall -q --invalidation-mode unchecked-hash -s "$package" -p /var/task "$package" >&2
    else
        say "warning: no python$python on PATH to compile bytecode with: each cold start will do it, and take twice the time"
    fi
fi

progress "zipping"
"$builder" -m toolkit.deployment.archive "$package" "$output"
"$builder" -m toolkit.deployment.sbom "$package" "$output"
