#!/usr/bin/env bash
# From vectors to answers: each step is the command of the README, run against the local cloud.
# `make demo` runs it; `make serve` runs it with --stay, which then serves the demo page until Ctrl-C. KIM_CNN and SM_CNN
# name model files to take instead of the committed ones, VECTORS the vectors that they were trained with.

set -euo pipefail
[[ ${1:---stay} == --stay && -n ${AWS_ENDPOINT_URL:-} ]] || { echo "demo.sh: run it with make demo or make serve" >&2; exit 2; }
cd "$(dirname "${BASH_SOURCE[0]}")/.."

run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

post() {
    printf "\n\$ curl --data '%s' %s | python -m json.tool\n" "${2//\'/\'\\\'\'}" "$1"
    curl --silent --show-error --fail-with-body --data "$2" "$1" | python -m json.tool
}

models=(sm_cnn kim_cnn) table=
upload() { run python utils/upload_word_vectors_to_dynamo.py "$1" "$2" --create-table; }
declare -A own=([sm_cnn]=${SM_CNN:-} [kim_cnn]=${KIM_CNN:-})
if [[ -n ${SM_CNN:-}${KIM_CNN:-} ]]; then
    table=own-vectors models=()
    for model in sm_cnn kim_cnn; do [[ -z ${own[$model]} ]] || models+=("$model"); done
    upload "${VECTORS:-data/glove.6B.50d.sample.txt.gz}" $table
else
    upload data/glove.6B.50d.sample.txt.gz word-vectors
    upload data/kim_cnn.vectors.txt.gz kim-vectors
fi

packages=() tables=()
for model in "${models[@]}"; do
    run utils/create_deployment_package.sh "$model" ${own[$model]:+--model "${own[$model]}"} --runtime none \
        --output "build/local/$model.zip"
    packages+=("--${model/_/-}" "build/local/$model.zip")
    [[ -z $table ]] || { [[ $model == sm_cnn ]] && name=SmCnn || name=KimCnn; tables+=(--parameter "${name}Table=$table"); }
done
run python utils/deploy.py up "${packages[@]}" "${tables[@]}" | tee build/local/urls
url() { awk -v name="$1" '$1 == name { print $2 }' build/local/urls; }

if [[ -z $table ]]; then
    post "$(url SmCnnUrl)" \
        '{"sent1": "how are glacier caves formed", "sent2": "the ice facade is approximately 60 m high"}'
    post "$(url KimCnnUrl)" '{"input": "this is a very good movie"}'
else # the first sample of the model file
    awk '$1 ~ /CnnUrl$/ { print $2 }' build/local/urls | while read -r url; do
        sample=$(curl --silent --show-error --fail "$url" |
            python -c 'import json, sys; print(*map(json.dumps, json.load(sys.stdin).get("samples", [])[:1]))')
        [[ -z $sample ]] || post "$url" "$sample"
    done
fi

if [[ ${1:-} != --stay ]]; then
    printf '\nThe cloud ends here, and its URLs with it; make serve keeps them until Ctrl-C.\n'
else
    api=$(awk '$1 ~ /CnnUrl$/ { print $2; exit }' build/local/urls)
    printf '\nserving until Ctrl-C; try it at\n'
    # In the place of this shell, so that what ends the shell ends the server.
    exec python -u -m http.server --bind 127.0.0.1 --directory demo 0 2>build/local/page.log \
        > >(sed -u -n "s|.*(\(http.*\)) .*|\1?api=${api%/*}|p")
fi
