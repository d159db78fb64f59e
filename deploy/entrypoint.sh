#!/bin/sh
# The container's role is its first argument; what follows goes to the command.
set -eu
role=${1:-serve}
[ $# -eq 0 ] || shift
store=${NEXTBEST_STORE:-/var/lib/nextbest}
case $role in
    serve) exec nbo-serve run --store "$store" --host 0.0.0.0 --port 8000 "$@" ;;
    nightly | export | versions | promote | rollback) exec nbo-train "$role" --store "$store" "$@" ;;
    evaluate | tune) exec nbo-train "$role" "$@" ;;
    keys | token-keys | token | record) NEXTBEST_STORE=$store exec nbo-serve "$role" "$@" ;;
    *)
        echo "no role $role: serve, nightly, evaluate, tune, export, versions, promote, rollback, keys, token-keys, token, record" >&2
        exit 2
        ;;
esac
