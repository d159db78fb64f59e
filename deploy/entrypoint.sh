#!/bin/sh
# The container's role is its first argument; what follows goes to the command.
set -eu
role=${1:-serve}
[ $# -eq 0 ] || shift
store=${NEXTBEST_STORE:-/var/lib/nextbest}
case $role in
    serve) exec nbo-serve run --store "$store" --host 0.0.0.0 --port 8000 "$@" ;;
    nightly | export | versions | promote | rollback) exec nbo-train "$role" --store "$store" "$@" ;;
    evaluate | tune | report) exec nbo-train "$role" "$@" ;;
    keys | token-keys | token | record | rules | batch) NEXTBEST_STORE=$store exec nbo-serve "$role" "$@" ;;
    experiment) NEXTBEST_STORE=$store exec nbo-experiment "$@" ;;
    *)
        echo "no role $role: serve, nightly, evaluate, tune, report, export, versions, promote, rollback, keys, token-keys, token, record, rules, batch, experiment" >&2
        exit 2
        ;;
esac
