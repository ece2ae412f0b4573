#!/usr/bin/env bash
# From vectors to answers: each step is the command of the README, run against the local cloud.
# `make demo` runs it; `make serve` runs it with --stay, which then serves the demo page until Ctrl-C.

set -euo pipefail
[[ ${1:---stay} == --stay && -n ${AWS_ENDPOINT_URL:-} ]] || { echo "demo.sh: run it with make demo or make serve" >&2; exit 2; }
cd "$(dirname "${BASH_SOURCE[0]}")/.."

run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

post() {
    printf "\n\$ curl --data '%s' %s\n" "$2" "$1"
    curl --silent --show-error --fail-with-body --data "$2" "$1" | python -m json.tool
}

run python utils/upload_word_vectors_to_dynamo.py data/glove.6B.50d.sample.txt.gz word-vectors --create-table
for model in sm_cnn kim_cnn; do
    run utils/create_deployment_package.sh $model --runtime none --output build/local/$model.zip
done
run python utils/deploy.py up --sm-cnn build/local/sm_cnn.zip --kim-cnn build/local/kim_cnn.zip | tee build/local/urls
url() { awk -v name="$1" '$1 == name { print $2 }' build/local/urls; }

post "$(url SmCnnUrl)" \
    '{"sent1": "how are glacier caves formed", "sent2": "the ice facade is approximately 60 m high"}'
post "$(url KimCnnUrl)" '{"input": "this is a very good movie"}'

if [[ ${1:-} != --stay ]]; then
    printf '\nThe cloud ends here, and its URLs with it; make serve keeps them until Ctrl-C.\n'
else
    api=$(url KimCnnUrl)
    printf '\nserving until Ctrl-C; try both models at\n'
    python -u -m http.server --bind 127.0.0.1 --directory demo 0 2>build/local/page.log |
        sed -u -n "s|.*(\(http.*\)) .*|\1?api=${api%/kim_cnn}|p"
fi
